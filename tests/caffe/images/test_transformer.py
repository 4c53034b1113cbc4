"""Real pycaffe transforms the same images with the same settings."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe.images.transformer import Transformer, TransformError
from tests.conftest import RunCaffe

CASES = 60

ORACLE = """
import json, sys, warnings
import numpy as np
import caffe
warnings.simplefilter("ignore")
given, found = np.load(sys.argv[1], allow_pickle=False), {}
settings = json.load(open(sys.argv[2]))
for number, setting in enumerate(settings):
    transformer = caffe.io.Transformer({"data": tuple(setting["input"])})
    for name in ("transpose", "channel_swap", "raw_scale", "input_scale"):
        if name in setting:
            getattr(transformer, "set_" + name)("data", setting[name])
    if "mean%d" % number in given.files:
        transformer.set_mean("data", given["mean%d" % number])
    pre = transformer.preprocess("data", given["image%d" % number].copy())
    found["pre%d" % number] = pre
    if setting["input"][1] > 1:  # else it squeezes the channel away, and fails
        found["back%d" % number] = transformer.deprocess("data", pre[np.newaxis])
np.savez(sys.argv[3], **found)
print(json.dumps(len(settings)))
"""


def random_setting(chance: np.random.Generator) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any] | None]:
    """What to set, the image, and the mean, if any."""
    channels, height, width = int(chance.choice([1, 3])), *map(int, chance.integers(3, 12, 2))
    setting: dict[str, Any] = {"input": [int(chance.integers(1, 4)), channels, height, width]}
    setting["transpose"] = [2, 0, 1]
    if chance.random() < 0.5:
        setting["channel_swap"] = chance.permutation(channels).tolist()
    for name, scale in (("raw_scale", 255), ("input_scale", 0.017)):
        if chance.random() < 0.5:
            setting[name] = float(scale)
    size = (height, width) if chance.random() < 0.5 else chance.integers(3, 15, 2)
    image = chance.random((*size, channels)).astype(chance.choice(["float32", "float64"]))
    mean = [
        None,
        chance.random(channels) * 100,
        chance.random((channels, height, width)),
        chance.random((channels, 5, 9), np.float32) * 255,
    ][int(chance.integers(4))]
    return setting, image, mean


def ours(setting: dict[str, Any], mean: NDArray[Any] | None) -> Transformer:
    """Our Transformer, so set."""
    transformer = Transformer({"data": tuple(setting["input"])})
    for name in ("transpose", "channel_swap", "raw_scale", "input_scale"):
        if name in setting:
            getattr(transformer, f"set_{name}")("data", setting[name])
    if mean is not None:
        transformer.set_mean("data", mean)
    return transformer


def test_images_are_transformed_as_by_pycaffe(run_caffe: RunCaffe, tmp_path: Any) -> None:
    chance = np.random.default_rng(5)
    cases = [random_setting(chance) for _ in range(CASES)]
    arrays = {f"image{number}": image for number, (_, image, _) in enumerate(cases)}
    arrays |= {f"mean{number}": mean for number, (_, _, mean) in enumerate(cases) if mean is not None}
    np.savez(tmp_path / "given.npz", **arrays)  # type: ignore[arg-type]
    (tmp_path / "settings.json").write_text(json.dumps([setting for setting, _, _ in cases]))
    run_caffe(ORACLE, tmp_path / "given.npz", tmp_path / "settings.json", tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        for number, (setting, image, mean) in enumerate(cases):
            transformer = ours(setting, mean)
            pre = transformer.preprocess("data", image)
            expected = found[f"pre{number}"]
            assert pre.dtype == expected.dtype == np.float32
            np.testing.assert_allclose(pre, expected, rtol=1e-6, atol=1e-4, err_msg=str(setting))
            back = transformer.deprocess("data", expected[np.newaxis])
            assert back.shape == (*setting["input"][2:], setting["input"][1])
            if f"back{number}" in found.files:
                np.testing.assert_allclose(back, found[f"back{number}"], rtol=1e-6, atol=2e-5)


def test_hand_worked_steps() -> None:
    transformer = Transformer({"data": (1, 3, 1, 1)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", np.array([100, 110, 120]))
    transformer.set_input_scale("data", 0.5)
    image = np.array([[[1, 0.4, 0.2]]], np.float32)  # RGB
    result = transformer.preprocess("data", image)
    np.testing.assert_allclose(result.ravel(), [(51 - 100) / 2, (102 - 110) / 2, (255 - 120) / 2], rtol=1e-6)
    np.testing.assert_allclose(transformer.deprocess("data", result).ravel(), [1, 0.4, 0.2], rtol=1e-6)


def test_the_image_is_left_as_it_is() -> None:
    """In pycaffe it is not: it scales a float32 image of the right size where it is."""
    transformer = Transformer({"data": (1, 3, 2, 2)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_raw_scale("data", 255)
    image = np.ones((2, 2, 3), np.float32)
    transformer.preprocess("data", image)
    assert (image == 1).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: t.preprocess("img", np.zeros((2, 2, 3))), "'img' is not one of the net's inputs: data"),
        (lambda t: t.set_transpose("data", (0, 1)), "no order of the input's 3 axes"),
        (lambda t: t.set_transpose("data", (0, 1, 1)), "no order"),
        (lambda t: t.set_channel_swap("data", (0, 1)), "input's 3 channels"),
        (lambda t: t.set_channel_swap("data", (0, 1, 7)), "input's 3 channels"),
        (lambda t: t.set_mean("data", np.zeros(4)), "a mean of 4 channels, the input has 3"),
        (lambda t: t.set_mean("data", np.zeros((4, 2, 2))), "a mean of 4 channels"),
        (lambda t: t.set_mean("data", np.zeros((1, 1, 1, 1))), "a mean of shape"),
    ],
)
def test_what_does_not_fit(call: Any, words: str) -> None:
    with pytest.raises(TransformError, match=words):
        call(Transformer({"data": (1, 3, 2, 2)}))


def test_a_mean_that_does_not_fit_the_image_says_what_to_call() -> None:
    transformer = Transformer({"data": (1, 3, 2, 2)})
    transformer.set_mean("data", np.array([1.0, 2, 3]))
    with pytest.raises(TransformError, match="call set_transpose"):
        transformer.preprocess("data", np.zeros((2, 2, 3)))
