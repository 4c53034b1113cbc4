"""Every combination builds; of every variant and depth one runs in real Caffe, both ways, and in OpenCV."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from google.protobuf import text_format

from batchbrew.nets.families import FAMILIES
from batchbrew.nets.generation import Model
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.blobs import array_blob, blob_array
from tests.nets.caffe_session import CaffeSession
from tests.nets.combinations import Combination, built, combinations
from tests.nets.conftest import runnable

ALL = list(combinations())
IN_CAFFE = [combination for combination in ALL if not combination.only_nvidia]

# Small, as they are many; but large enough that BatchNorm sees more than two numbers a channel in most layers.
CROPS = {"alexnet": 67, "vgg": 32, "resnet": 65}
SMALL_STEM_CROP, DEEP_CROP, DEEP = 16, 35, 101
IMAGES = 3
TOLERANCE = 1e-4  # of the largest score


def selected() -> list[Combination]:
    """One of each variant and depth, at another place among its options each time, so that all have their turn."""
    kinds: dict[tuple[str, int | None], list[Combination]] = {}
    for combination in IN_CAFFE:
        kinds.setdefault((combination.variant, combination.depth), []).append(combination)
    return [some[(place * 2 + place // 2) % len(some)] for place, some in enumerate(kinds.values())]


def crop(combination: Combination) -> int:
    if "small" in combination.options:
        return SMALL_STEM_CROP
    return DEEP_CROP if (combination.depth or 0) >= DEEP else CROPS[combination.family]


def at(combination: Combination, *further: str) -> Model:
    return built(combination, "--crop", str(crop(combination)), *further)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_combination_builds(family: str) -> None:
    """To build a model is to work out the shapes of all its blobs, too."""
    for combination in ALL:
        if combination.family != family:
            continue
        model = built(combination)
        options = combination.options
        classes = int(options[options.index("--classes") + 1]) if "--classes" in options else 1000
        last = [layer for layer in model.train_val.layer if layer.type == "InnerProduct"][-1]
        assert last.inner_product_param.num_output == classes, combination
        fused = any(layer.batch_norm_param.scale_bias for layer in model.deploy.layer)
        assert fused == combination.only_nvidia, combination


def test_what_is_selected_has_every_option() -> None:
    words = {word for combination in IN_CAFFE for word in combination.options if word.startswith("--")}
    chosen = {word for combination in selected() for word in combination.options}
    assert words - chosen == set()
    assert {"small", "he", "1x1", "3x3"} <= chosen
    assert len(selected()) == 1 + 1 + 4 + 4 + 7 + 5


RUN = """
import numpy as np
import caffe
random = np.random.RandomState(1)

def answer(job):
    caffe.set_random_seed(1)
    net = caffe.Net(job["train"], caffe.TRAIN)
    kinds = dict(zip(net._layer_names, (layer.type for layer in net.layers)))
    for name, blobs in net.params.items():
        if kinds[name] == "BatchNorm":  # for those that use what is stored: nothing is stored yet
            blobs[0].data[...] = random.randn(*blobs[0].shape)
            blobs[1].data[...] = random.uniform(0.5, 2, blobs[1].shape)
            blobs[2].data[...] = 1
        if name == job["classifier"]:  # else nothing flows back
            blobs[0].data[...] = random.randn(*blobs[0].shape) / blobs[0].shape[1] ** 0.5
    for _ in range(2):
        net.blobs["data"].data[...] = random.randint(0, 256, net.blobs["data"].data.shape) - job["mean"]
        net.blobs["label"].data[...] = [0, 1, 1]
        loss = float(net.forward()["loss"])
    net.backward()
    gradients = {
        name + "/" + str(index): float(np.abs(blob.diff).max())
        for name, blobs in net.params.items() if kinds[name] != "BatchNorm" for index, blob in enumerate(blobs)
    }
    net.save(job["weights"])
    deploy = caffe.Net(job["deploy"], caffe.TEST, weights=job["weights"])
    deploy.blobs["data"].data[...] = np.load(job["image"])
    prob = deploy.forward()["prob"]
    scores = deploy.blobs[job["classifier"]].data
    return {"loss": loss, "gradients": gradients, "scores": scores.tolist(), "prob": prob.tolist()}
"""


@pytest.fixture(scope="module")
def caffe_session(caffe_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaffeSession]:
    session = CaffeSession(caffe_python, RUN, tmp_path_factory.mktemp("caffe") / "log")
    yield session
    session.close()


def run_in_caffe(session: CaffeSession, model: Model, side: int, folder: Path) -> dict[str, Any]:
    """Caffe's answer on `model`; leaves image.npy, deploy.prototxt and weights.caffemodel in `folder`."""
    (folder / "train.prototxt").write_text(
        text_format.MessageToString(runnable(model.train_val, side, IMAGES))
    )
    unfilled = pb.NetParameter()
    unfilled.CopyFrom(model.deploy)
    for layer in unfilled.layer:  # filling takes time, and everything is loaded
        for name in ("convolution_param", "inner_product_param"):
            if layer.HasField(name):
                getattr(layer, name).ClearField("weight_filler")
    (folder / "deploy.prototxt").write_text(text_format.MessageToString(unfilled))
    np.save(
        folder / "image.npy",
        np.random.default_rng(2).uniform(-100, 150, (1, 3, side, side)).astype(np.float32),
    )
    answer: dict[str, Any] = session.ask({
        "train": str(folder / "train.prototxt"),
        "deploy": str(folder / "deploy.prototxt"),
        "weights": str(folder / "weights.caffemodel"),
        "image": str(folder / "image.npy"),
        "classifier": classifier(model),
        "mean": 110 if model.deploy_notes else 0,
    })  # fmt: skip
    return answer


def classifier(model: Model) -> str:
    return str(model.deploy.layer[-1].bottom[0])


def may_have_no_gradient(net: pb.NetParameter) -> set[str]:
    """What is frozen, and biases that a BatchNorm takes out again, of whose gradients only rounding is left."""
    normalised = {layer.bottom[0] for layer in net.layer if layer.type == "BatchNorm"}
    biases = {f"{layer.name}/1" for layer in net.layer if layer.top[0] in normalised}
    return biases | {
        f"{layer.name}/{index}"
        for layer in net.layer
        for index, param in enumerate(layer.param)
        if not param.lr_mult
    }


def assert_opencv_agrees(
    prototxt: bytes, weights: bytes, folder: Path, answer: dict[str, Any], scores: str
) -> None:
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(prototxt, np.uint8), np.frombuffer(weights, np.uint8))
    net.setInput(np.load(folder / "image.npy"))
    ours, probabilities = net.forward([scores, "prob"])
    expected = np.array(answer["scores"])
    assert np.abs(ours - expected).max() <= TOLERANCE * np.abs(expected).max()
    assert np.abs(expected).max() > np.abs(expected).min(), "scores that are all alike compare nothing"
    assert np.abs(probabilities - np.array(answer["prob"])).max() < 1e-3


@pytest.mark.parametrize("combination", selected(), ids=str)
def test_it_learns_in_caffe_and_opencv_agrees(
    combination: Combination, caffe_session: CaffeSession, tmp_path: Path
) -> None:
    model = at(combination)
    answer = run_in_caffe(caffe_session, model, crop(combination), tmp_path)
    assert math.isfinite(answer["loss"])
    gradients = answer["gradients"]
    allowed = may_have_no_gradient(model.train_val)
    assert all(math.isfinite(size) for size in gradients.values())
    assert [name for name, size in gradients.items() if size == 0 and name not in allowed] == []
    weights = tmp_path / "weights.caffemodel"
    prototxt = (tmp_path / "deploy.prototxt").read_bytes()
    assert_opencv_agrees(prototxt, weights.read_bytes(), tmp_path, answer, classifier(model))
    weights.unlink()


def fused(weights: pb.NetParameter, deploy: pb.NetParameter) -> pb.NetParameter:
    """BVLC's weights as NVIDIA Caffe has them: plain statistics, a correction of 1, and what Scale learned."""
    blobs = {layer.name: layer for layer in weights.layer}
    scales = {layer.bottom[0]: layer for layer in weights.layer if layer.type == "Scale"}
    result = pb.NetParameter()
    for layer in deploy.layer:
        made = result.layer.add(name=layer.name, type=layer.type)
        if layer.name not in blobs:
            continue
        source = blobs[layer.name]
        if layer.type != "BatchNorm":
            made.blobs.extend(source.blobs)
            continue
        mean, variance, factor = (blob_array(blob) for blob in source.blobs)
        made.blobs.extend(
            [array_blob(mean / factor), array_blob(variance / factor), array_blob(factor / factor)]
        )
        if layer.batch_norm_param.scale_bias:
            made.blobs.extend(scales[source.top[0]].blobs)
    return result


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("alexnet", []),
        ("alexnet", ["--scale"]),
        ("resnet", ["--depth", "10"]),
        ("resnet", ["--depth", "18", "--variant", "he"]),
    ],
)
def test_fused_batch_norm_says_the_same(
    family: str, options: list[str], caffe_session: CaffeSession, tmp_path: Path
) -> None:
    """OpenCV reads NVIDIA Caffe's dialect too; what it makes of it is what BVLC Caffe makes of the plain net."""
    plain = Combination(
        family, "", None, (*options, "--train", "t_lmdb", "--val", "v_lmdb", "--classes", "7")
    )
    answer = run_in_caffe(caffe_session, at(plain), crop(plain), tmp_path)
    dialect = at(plain, "--bn", "nvcaffe").deploy
    weights = pb.NetParameter.FromString((tmp_path / "weights.caffemodel").read_bytes())
    assert "Scale" not in {layer.type for layer in dialect.layer}
    assert_opencv_agrees(
        text_format.MessageToString(dialect).encode(),
        fused(weights, dialect).SerializeToString(),
        tmp_path,
        answer,
        dialect.layer[-1].bottom[0],
    )
