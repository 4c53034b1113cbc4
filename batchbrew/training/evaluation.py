"""The test error of trained weights: single centre crop, top-1 and, where there are enough classes, top-5.

`caffe test` averages over whole batches, so with a set that no batch size divides it counts some images
twice. Here every image of the set counts once.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import EngineError, InputError
from batchbrew.nets.state import layers_in_state
from batchbrew.proto import caffe_pb2
from batchbrew.proto.text import read_prototxt, write_prototxt
from batchbrew.training.engine_process import EngineProcess, Event
from batchbrew.training.engines import CaffePython

TOP_5_FROM_CLASSES = 6  # of five classes, every guess of five is right


@dataclass(frozen=True)
class TestResult:
    """Errors are shares of `images`, 0..1. `majority_error` is that of always guessing the commonest label."""

    __test__ = False  # pytest: this is not a test class

    images: int
    classes: int
    top1_error: float
    top5_error: float | None
    majority_error: float


@dataclass(frozen=True)
class TestSet:
    """What a net is tested on, read off its prototxt."""

    __test__ = False

    source: str
    images: int
    score: str
    label: str


def evaluate(
    net_file: Path,
    weights: Path,
    caffe: CaffePython,
    *,
    gpu: int | None = None,
    source: str | None = None,
    images: int | None = None,
    working_directory: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> TestResult:
    """Test `weights` in the TEST phase of `net_file`.

    `source` replaces the net's own test data, `images` bounds the number tested (default: all). Relative
    sources begin at `working_directory`. Raises InputError for a net without labelled test data or scores
    that are not finite, EngineError when Caffe gives up.
    """
    folder = working_directory or Path.cwd()
    net = read_prototxt(net_file, caffe_pb2.NetParameter)
    if not weights.is_file():
        raise InputError(f"{weights} is not there: name a .caffemodel in --weights")
    if source is not None:
        _replace_source(net, source, net_file)
    test_set = describe_test_set(net, folder, net_file, images)
    with tempfile.TemporaryDirectory(prefix="batchbrew-test-") as temporary:
        used_net = Path(temporary) / "test.prototxt"
        write_prototxt(used_net, net)
        job = {
            "task": "test",
            "net": str(used_net),
            "weights": str(weights.resolve()),
            "score": test_set.score,
            "label": test_set.label,
            "images": test_set.images,
            "top_k": [1, 5],
            "gpu": gpu,
        }
        fields = _run(EngineProcess(caffe, job, working_directory=folder), weights, on_progress)
    return _result(fields)


def describe_test_set(
    net: caffe_pb2.NetParameter, folder: Path, net_file: Path, images: int | None
) -> TestSet:
    """Find the test data, the scores and the labels of a net. Raises InputError naming what is missing."""
    layers = layers_in_state(net, caffe_pb2.TEST)
    judges = [layer for layer in layers if layer.type in ("Accuracy", "SoftmaxWithLoss")]
    judges.sort(key=lambda layer: layer.type)  # an Accuracy first
    if not judges:
        raise InputError(
            f"{net_file}: no Accuracy or SoftmaxWithLoss layer in phase TEST says what the scores and labels are: "
            "give the train_val.prototxt, not the deploy.prototxt"
        )
    data = _data_layer(net, net_file)
    source = data.data_param.source or data.image_data_param.source
    count = _count(data, folder) if images is None else images
    if count < 1:
        raise InputError(f"{source}: there is no image to test on")
    return TestSet(source, count, judges[0].bottom[0], judges[0].bottom[1])


def _data_layer(net: caffe_pb2.NetParameter, net_file: Path) -> caffe_pb2.LayerParameter:
    for layer in layers_in_state(net, caffe_pb2.TEST):
        if layer.type in ("Data", "ImageData"):
            return layer
    raise InputError(f"{net_file}: no Data or ImageData layer in phase TEST: name the images to test on")


def _replace_source(net: caffe_pb2.NetParameter, source: str, net_file: Path) -> None:
    layer = _data_layer(net, net_file)
    if layer.type == "Data":
        layer.data_param.source = source
    else:
        layer.image_data_param.source = source


def _count(data: caffe_pb2.LayerParameter, folder: Path) -> int:
    if data.type == "Data":
        if data.data_param.backend != caffe_pb2.DataParameter.LMDB:
            raise InputError(
                f"layer {data.name!r}: a LevelDB's images cannot be counted: say how many with --images"
            )
        from batchbrew.dataset.reader import LmdbReader

        with LmdbReader(folder / data.data_param.source) as reader:
            return reader.count
    source = folder / data.image_data_param.source
    try:
        with source.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error


def _run(process: EngineProcess, weights: Path, on_progress: Callable[[int, int], None]) -> dict[str, object]:
    result: dict[str, object] | None = None
    try:
        for message in process.messages():
            if not isinstance(message, Event):
                continue
            if message.name == "tested":
                on_progress(message.fields["done"], message.fields["of"])
            elif message.name == "not_finite":
                raise InputError(
                    f"{weights} gives scores that are nan or inf: it was saved after training diverged"
                )
            elif message.name == "bad_label":
                raise InputError(
                    f"the test data hold label {message.fields['label']}, the net has {message.fields['classes']} "
                    "classes (0 is the first): use the data or the --classes that belong together"
                )
            elif message.name == "result":
                result = message.fields
    finally:
        process.kill()
    if result is None:
        raise EngineError(
            f"the test failed: {process.failure() or 'the Caffe process ended before its work was done'}"
        )
    return result


def _result(fields: dict[str, object]) -> TestResult:
    images, classes = fields["images"], fields["classes"]
    correct, labels = fields["correct"], fields["labels"]
    assert isinstance(images, int) and isinstance(classes, int)
    assert isinstance(correct, dict) and isinstance(labels, dict)
    return TestResult(
        images,
        classes,
        top1_error=1 - correct["1"] / images,
        top5_error=1 - correct["5"] / images if classes >= TOP_5_FROM_CLASSES else None,
        majority_error=1 - max(labels.values()) / images,
    )
