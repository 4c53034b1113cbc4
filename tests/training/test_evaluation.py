"""Test errors as real Caffe's Accuracy layers give them, and what is refused.

The score of each class is a pixel of the image (the net's only layer copies them), in 0..3, so that ties abound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from batchbrew.errors import EngineError, InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.binary import write_binary
from batchbrew.proto.blobs import array_blob
from batchbrew.training.engines import Engine, bvlc_engine
from batchbrew.training.evaluation import evaluate
from tests.conftest import RunCaffe
from tests.dataset.lmdbs import raw_datum, write_lmdb

CLASSES, IMAGES = 7, 30

NET = """
name: "scores"
layer {{ name: "data" type: "{type}" top: "data" top: "label" include {{ phase: TEST }} {source} }}
layer {{ name: "data_bn" type: "BatchNorm" bottom: "data" top: "data_bn" }}
layer {{ name: "copy" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param {{ num_output: {classes} bias_term: false }} }}
layer {{ name: "quiet" type: "Silence" bottom: "data_bn" }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy" }}
layer {{ name: "accuracy/top5" type: "Accuracy" bottom: "score" bottom: "label" top: "top5"
  accuracy_param {{ top_k: {top_k} }} }}
"""

# For each (net, batches): accuracies as Caffe averages them over whole batches, and all scores.
ORACLE = """
import json, sys
import caffe
answers = []
for path, batches in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    net = caffe.Net(path, sys.argv[1], caffe.TEST)
    answer = {"accuracy": 0, "top5": 0, "scores": [], "labels": []}
    for _ in range(batches):
        net.forward()
        for name in ("accuracy", "top5"):
            answer[name] += float(net.blobs[name].data) / batches
        answer["scores"] += net.blobs["score"].data.tolist()
        answer["labels"] += net.blobs["label"].data.tolist()
    answers.append(answer)
print(json.dumps(answers))
"""


@pytest.fixture
def caffe(caffe_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    return bvlc_engine(caffe_python)


def images(count: int = IMAGES, classes: int = CLASSES) -> list[caffe_pb2.Datum]:
    draw = np.random.default_rng(3)
    pixels = draw.integers(0, 4, (count, classes)).astype(np.uint8)
    labels = draw.integers(0, classes - 1, count)
    return [
        raw_datum(classes, 1, 1, row.tobytes(), int(label)) for row, label in zip(pixels, labels, strict=True)
    ]


def write_net(path: Path, batch_size: int, *, source: str = "test_lmdb", classes: int = CLASSES) -> Path:
    data = f'data_param {{ source: "{source}" backend: LMDB batch_size: {batch_size} }}'
    path.write_text(NET.format(type="Data", source=data, classes=classes, top_k=min(5, classes)))
    return path


def write_weights(path: Path, copy: Any = None, *, name: str = "copy", classes: int = CLASSES) -> Path:
    """A caffemodel whose layer `copy` passes its input on."""
    net = caffe_pb2.NetParameter(name="scores")
    net.layer.add(name=name).blobs.append(array_blob(np.eye(classes) if copy is None else copy))
    statistics = (np.zeros(classes), np.ones(classes), np.ones(1))
    net.layer.add(name="data_bn").blobs.extend(array_blob(blob) for blob in statistics)
    write_binary(path, net)
    return path


def error_by_hand(scores: Sequence[Sequence[float]], labels: Sequence[float], k: int) -> float:
    """The label is right if fewer than k others have as high a score."""
    wrong = 0
    for row, label in zip(scores, map(int, labels), strict=True):
        rivals = [score for other, score in enumerate(row) if other != label and score >= row[label]]
        wrong += len(rivals) >= k
    return wrong / len(labels)


@dataclass(frozen=True)
class Oracle:
    """Real Caffe's answers for the same 30 images in three batches of 10, and in four of 8."""

    folder: Path
    by_10: dict[str, Any]
    by_8: dict[str, Any]


@pytest.fixture(scope="module")
def oracle(run_caffe: RunCaffe, tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    folder = tmp_path_factory.mktemp("scores")
    lmdb = write_lmdb(folder / "test_lmdb", images())
    by_10, by_8 = (write_net(folder / f"by_{size}.prototxt", size, source=str(lmdb)) for size in (10, 8))
    weights = write_weights(folder / "w.caffemodel")
    return Oracle(folder, *run_caffe(ORACLE, weights, by_10, 3, by_8, 4))


def test_errors_are_those_of_caffes_accuracy_layers_ties_included(caffe: Engine, oracle: Oracle) -> None:
    net, weights, theirs = oracle.folder / "by_10.prototxt", oracle.folder / "w.caffemodel", oracle.by_10
    steps: list[tuple[int, int]] = []
    result = evaluate(net, weights, caffe, on_progress=lambda done, of: steps.append((done, of)))
    assert result.top1_error == pytest.approx(1 - theirs["accuracy"], abs=1e-6)
    assert result.top5_error == pytest.approx(1 - theirs["top5"], abs=1e-6)
    of_labels = [row[int(label)] for row, label in zip(theirs["scores"], theirs["labels"], strict=True)]
    ties = [
        row.count(max(row)) > 1 and own == max(row)
        for row, own in zip(theirs["scores"], of_labels, strict=True)
    ]
    assert any(ties), "no label scores as high as another class: the test tells nothing of ties"
    assert 0 < (result.top5_error or 0) < result.top1_error < 1
    assert (result.images, result.classes, result.untrained) == (IMAGES, CLASSES, ())
    assert steps == [(10, 30), (20, 30), (30, 30)]
    commonest = max(theirs["labels"].count(label) for label in theirs["labels"])
    assert result.majority_error == pytest.approx(1 - commonest / IMAGES)


def test_every_image_counts_once_whatever_the_batch_size_and_old_weights_and_an_untrained_layer(
    caffe: Engine, oracle: Oracle, tmp_path: Path
) -> None:
    theirs = oracle.by_8
    v1 = caffe_pb2.NetParameter(name="scores")
    layer = v1.layers.add(name="copy", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    layer.blobs.add(num=1, channels=1, height=CLASSES, width=CLASSES, data=np.eye(CLASSES).ravel())
    write_binary(tmp_path / "v1.caffemodel", v1)
    result = evaluate(oracle.folder / "by_8.prototxt", tmp_path / "v1.caffemodel", caffe)
    scores, labels = theirs["scores"][:IMAGES], theirs["labels"][:IMAGES]
    assert result.images == IMAGES
    assert result.top1_error == pytest.approx(error_by_hand(scores, labels, 1))
    assert result.top5_error == pytest.approx(error_by_hand(scores, labels, 5))
    assert result.top1_error != pytest.approx(1 - theirs["accuracy"], abs=1e-6)  # two images counted twice
    assert result.untrained == ("data_bn",)


def test_another_lmdb_of_few_classes_and_a_bound(caffe: Engine, tmp_path: Path) -> None:
    # of five images the first three are taken for their class: scores 9 against 0
    right, wrong = bytes([9, 0, 0, 0, 0]), bytes([0, 9, 0, 0, 0])
    data = [raw_datum(5, 1, 1, pixels) for pixels in (right, right, right, wrong, wrong)]
    write_lmdb(tmp_path / "other_lmdb", data)
    net = write_net(tmp_path / "net.prototxt", 2, source="gone_lmdb", classes=5)
    weights = write_weights(tmp_path / "w.caffemodel", classes=5)
    result = evaluate(net, weights, caffe, source="other_lmdb", images=4)
    assert (result.images, result.classes) == (4, 5)
    assert result.top1_error == 0.25
    assert result.top5_error is None
    assert result.majority_error == 0


def test_an_image_list_relative_to_the_working_directory(
    caffe: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for name, pixel in (("a", (250, 0, 0)), ("b c", (0, 250, 0)), ("d", (0, 0, 250))):  # BGR
        cv2.imwrite(str(work / f"{name}.png"), np.full((1, 1, 3), pixel, np.uint8))
    (work / "list.txt").write_text("a.png 0\nb c.png 1\nd.png 0\n")  # the last one is wrong: its score is 2's
    net = tmp_path / "net.prototxt"
    source = 'image_data_param { source: "list.txt" batch_size: 2 }'
    net.write_text(NET.format(type="ImageData", source=source, classes=3, top_k=3))
    weights = write_weights(tmp_path / "w.caffemodel", classes=3)
    result = evaluate(net, weights, caffe, working_directory=work)
    assert result.images == 3
    assert result.top1_error == pytest.approx(1 / 3)
    (work / "list.txt").write_text("a.png 0\n\nd.png 2\n")
    with pytest.raises(InputError, match=r"list\.txt, line 2 is empty"):
        evaluate(net, weights, caffe, working_directory=work)


@pytest.mark.parametrize("label", [CLASSES, 1_000_000_000])  # Caffe reads on beyond the scores; or crashes
def test_a_label_that_is_no_class_is_named(caffe: Engine, tmp_path: Path, label: int) -> None:
    data = images(8)
    data[5].label = label
    write_lmdb(tmp_path / "test_lmdb", data)
    net, weights = write_net(tmp_path / "net.prototxt", 4), write_weights(tmp_path / "w.caffemodel")
    with pytest.raises(InputError, match=f"hold label {label}, the net has 7 classes"):
        evaluate(net, weights, caffe)


def test_weights_that_are_not_finite(caffe: Engine, tmp_path: Path) -> None:
    write_lmdb(tmp_path / "test_lmdb", images(4))
    copy = np.eye(CLASSES)
    copy[0, 0] = np.nan
    net, weights = write_net(tmp_path / "net.prototxt", 4), write_weights(tmp_path / "w.caffemodel", copy)
    with pytest.raises(InputError, match=r"w\.caffemodel gives scores that are nan or inf"):
        evaluate(net, weights, caffe)


@pytest.mark.parametrize(
    ("name", "shape", "error", "message"),
    [
        ("copy", (3, 7), EngineError, "Cannot copy param 0 weights from layer 'copy'.*another network"),
        (
            "conv1",
            (7, 7),
            InputError,
            r"weights for none of this net's layers \(copy\), but for conv1, data_bn",
        ),
    ],
)
def test_weights_of_another_net(
    caffe: Engine,
    tmp_path: Path,
    name: str,
    shape: tuple[int, int],
    error: type[Exception],
    message: str,
) -> None:
    write_lmdb(tmp_path / "test_lmdb", images(4))
    net = write_net(tmp_path / "net.prototxt", 4)
    weights = write_weights(tmp_path / "w.caffemodel", np.zeros(shape), name=name)
    with pytest.raises(error, match=message) as caught:
        evaluate(net, weights, caffe)
    assert "\n" not in str(caught.value)


def test_scores_for_every_pixel_are_refused(caffe: Engine, tmp_path: Path) -> None:
    write_lmdb(tmp_path / "test_lmdb", [raw_datum(1, 2, 2, bytes(4))])
    net = tmp_path / "net.prototxt"
    net.write_text("""
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "test_lmdb" backend: LMDB batch_size: 1 } }
layer { name: "copy" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 7 kernel_size: 1 bias_term: false } }
layer { name: "labels" type: "Convolution" bottom: "data" top: "labels"
  convolution_param { num_output: 1 kernel_size: 1 } }
layer { name: "accuracy" type: "Accuracy" bottom: "score" bottom: "labels" top: "accuracy" }
""")
    weights = write_weights(tmp_path / "w.caffemodel", np.zeros((7, 1, 1, 1)))
    with pytest.raises(InputError, match=r"a blob of shape \[1, 7, 2, 2\], the labels are 4"):
        evaluate(net, weights, caffe)


def deploy(folder: Path) -> None:
    (folder / "net.prototxt").write_text(
        'name: "n" layer { name: "score" type: "InnerProduct" top: "score" }'
    )


def no_data(folder: Path) -> None:
    text = (folder / "net.prototxt").read_text().replace("phase: TEST", "phase: TRAIN")
    (folder / "net.prototxt").write_text(text)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (deploy, "give the train_val.prototxt, not the deploy.prototxt"),
        (no_data, "no Data or ImageData layer in phase TEST"),
        (
            lambda folder: (folder / "w.caffemodel").unlink(),
            r"w\.caffemodel is not there: name a \.caffemodel",
        ),
        (lambda folder: (folder / "w.caffemodel").write_text("text"), "a caffemodel is expected"),
        (lambda folder: (folder / "test_lmdb").rename(folder / "moved"), "test_lmdb"),
    ],
)
def test_what_is_refused_before_caffe_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lmdb(tmp_path / "test_lmdb", images(2))
    net, weights = write_net(tmp_path / "net.prototxt", 2), write_weights(tmp_path / "w.caffemodel")
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        evaluate(net, weights, bvlc_engine(tmp_path / "is never started"))


def test_more_images_than_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_lmdb(tmp_path / "test_lmdb", images(2))
    net, weights = write_net(tmp_path / "net.prototxt", 2), write_weights(tmp_path / "w.caffemodel")
    with pytest.raises(InputError, match="--images 3 is more than the 2 that test_lmdb holds"):
        evaluate(net, weights, bvlc_engine(tmp_path / "is never started"), images=3)
