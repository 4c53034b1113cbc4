"""Softmax and SoftmaxWithLoss: saturation, normalisations, ignored and wrong labels; and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

DRAWN = np.random.default_rng(3)
PLACES = DRAWN.normal(0, 3, (2, 5, 3, 2)).astype(np.float32)
PLACE_LABELS = DRAWN.integers(0, 5, (2, 3, 2)).astype(np.float32)
ROWS = DRAWN.normal(0, 3, (6, 4)).astype(np.float32)
ROW_LABELS = np.array([0, 3, 2, 2, 1, 3])
FAR = np.array([[0, 200, -200], [1000, 0, 0], [88, 0, -5]])
LOG4 = float(np.log(4))


def loss(parameter: str = "", axis: int = 1) -> str:
    return f'type: "SoftmaxWithLoss" softmax_param {{ axis: {axis} }} loss_param {{ {parameter} }}'


MODES = ["", *(f"normalization: {mode}" for mode in ("FULL", "VALID", "BATCH_SIZE", "NONE"))]
MODES += ["normalize: true", "normalize: false", "normalization: FULL normalize: false"]
AGREED = [
    *(
        example(f"loss {mode} {ignored}", layer_case(
            loss(f"{mode} {ignored}"), PLACES, PLACE_LABELS, tops=["loss"], diffs={"loss": 0.5}
        ))
        for mode in MODES for ignored in ("", "ignore_label: 2", "ignore_label: 255")
    ),
    *(
        example(f"loss, nothing counts, {mode}", layer_case(
            loss(f"ignore_label: 3 {mode}"), ROWS, np.full(6, 3), tops=["loss"], diffs={"loss": 2}
        ))
        for mode in MODES
    ),
    *(
        example(f"loss along {axis}", layer_case(
            loss("normalization: BATCH_SIZE", axis), PLACES, DRAWN.integers(0, 2, labels), tops=["loss"]
        ))
        for axis, labels in ((0, (2, 15)), (2, (2, 5, 2)), (-1, (2, 5, 3)))
    ),
    example("loss far out", layer_case(loss(), FAR, [2, 1, 2], tops=["loss"])),
    example("loss of nan", layer_case(loss(), [[np.nan, 1], [1, 2]], [0, 1], tops=["loss"])),
    example("loss of infinity", layer_case(loss(), [[np.inf, 1], [-np.inf, 2]], [0, 1], tops=["loss"])),
    example("loss of fractions", layer_case(loss(), ROWS, ROW_LABELS + 0.9, tops=["loss"])),
    example("loss of small negatives", layer_case(loss(), ROWS, np.full(6, -0.9), tops=["loss"])),
    *(
        example(f"softmax along {axis}{' in place' * in_place}", layer_case(
            f'type: "Softmax" softmax_param {{ axis: {axis} }}', PLACES,
            in_place=in_place, diffs={"x0" if in_place else "y": PLACES[::-1]},
        ))
        for axis in (0, 1, 2, -1) for in_place in (False, True)
    ),
    example("softmax, gradient not wanted", layer_case(
        'type: "Softmax" loss_weight: 0.5 propagate_down: false', PLACES, tops=["y"], learned=0, diffs={"y": PLACES}
    )),
    example("softmax far out", layer_case('type: "Softmax"', FAR, diffs={"y": FAR})),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_softmax(tmp_path: Path) -> None:
    found = compute(layer_case('type: "Softmax"', [[0, np.log(3)]], diffs={"y": [[1, 0]]}), tmp_path / "case")
    np.testing.assert_allclose(found["0|data|y"], [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(found["0|diff|x0"], [[0.1875, -0.1875]], rtol=1e-6)


def test_loss_of_equal_scores_is_the_logarithm_of_the_classes(tmp_path: Path) -> None:
    found = compute(layer_case(loss(), np.zeros((2, 4)), [1, 3], tops=["loss"]), tmp_path / "case")
    assert found["0|loss"] == pytest.approx(LOG4)
    np.testing.assert_allclose(found["0|diff|x0"] * 8, [[1, -3, 1, 1], [1, 1, 1, -3]], rtol=1e-6)
    assert not found["0|diff|x1"].any()


@pytest.mark.parametrize(
    ("parameter", "divisor"),
    [("", 2), ("normalization: FULL", 3), ("normalization: BATCH_SIZE", 3), ("normalization: NONE", 1),
     ("normalize: false", 3), ("normalization: VALID normalize: false", 2)],
)  # fmt: skip
def test_normalisations(parameter: str, divisor: int, tmp_path: Path) -> None:
    """Of three labels one is ignored; the two others cost log(4) each."""
    case = layer_case(loss(f"ignore_label: 3 {parameter}"), np.zeros((3, 4)), [1, 3, 0], tops=["loss"])
    found = compute(case, tmp_path / "case")
    assert found["0|loss"] == pytest.approx(2 * LOG4 / divisor)
    assert found["0|diff|x0"][0, 1] == pytest.approx(-0.75 / divisor)
    assert not found["0|diff|x0"][1].any()


def test_a_saturated_softmax_costs_87(tmp_path: Path) -> None:
    """The 87.3365 of diverged runs: -log of the smallest float."""
    found = compute(layer_case(loss(), [[0, 1000]], [0], tops=["loss"]), tmp_path / "case")
    assert f"{found['0|loss']:.6g}" == "87.3365"
    assert found["0|diff|x0"].tolist() == [[-1, 1]]


def test_loss_weight_scales_the_gradient(tmp_path: Path) -> None:
    case = layer_case(loss() + " loss_weight: 3", np.zeros((1, 4)), [1], tops=["loss"])
    found = compute(case, tmp_path / "case")
    assert found["0|data|loss"] == pytest.approx(LOG4)
    assert found["0|loss"] == pytest.approx(3 * LOG4)
    assert found["0|diff|x0"][0, 1] == pytest.approx(-2.25)


@pytest.mark.parametrize(
    ("label", "shown"), [(4, "4"), (-1, "-1"), (1e10, "1e\\+10"), (np.nan, "nan"), (255, "255")]
)
def test_labels_that_are_no_class_are_refused(label: float, shown: str, tmp_path: Path) -> None:
    text = rf"layer tested \(SoftmaxWithLoss\): finds label {shown} in bottom x1, but knows 4 classes, 0 to 3: correct"
    with pytest.raises(LayerError, match=text):
        compute(layer_case(loss(), ROWS[:2], [2, label], tops=["loss"]), tmp_path / "case")


def test_an_ignored_label_need_not_be_a_class(tmp_path: Path) -> None:
    case = layer_case(loss("ignore_label: 255"), np.zeros((2, 4)), [255, 1], tops=["loss"])
    assert compute(case, tmp_path / "a")["0|loss"] == pytest.approx(LOG4)
    with pytest.raises(
        LayerError, match=r"finds label 254 in bottom x1, .* 0 to 3 \(and 255, which is ignored\)"
    ):
        compute(layer_case(loss("ignore_label: 255"), ROWS[:2], [255, 254], tops=["loss"]), tmp_path / "b")


def test_labels_have_no_gradient(tmp_path: Path) -> None:
    case = layer_case('type: "SoftmaxWithLoss"', ROWS, ROW_LABELS, tops=["loss"], learned=1)
    with pytest.raises(
        LayerError, match=r"layer tested \(SoftmaxWithLoss\): cannot backpropagate to label inputs.* b "
    ):
        compute(case, tmp_path / "case")


def test_backward_before_any_forward_pass_finds_zeros(tmp_path: Path) -> None:
    """As in Caffe, where memory begins with zeros: probabilities 0, labels 0."""
    net = build(layer_case(loss(), np.zeros((2, 3)), [0, 0], tops=["loss"]), tmp_path / "case")
    net.backward()
    assert net.blobs["x0"].diff.tolist() == [[-0.5, 0, 0], [-0.5, 0, 0]]
