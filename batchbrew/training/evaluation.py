"""The test error of trained weights: single centre crop, top-1 and, where there are enough classes, top-5.

`caffe test` averages over whole batches, so with a set that no batch size divides it counts some images
twice. Here every image of the set counts once.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import EngineError, InputError
from batchbrew.nets.phases import TOP_5_FROM_CLASSES
from batchbrew.nets.state import layers_in_state
from batchbrew.proto import caffe_pb2
from batchbrew.proto.binary import read_binary
from batchbrew.proto.text import read_prototxt, write_prototxt
from batchbrew.solver.precision import DEFAULT_PRECISION
from batchbrew.training.engine_process import EngineProcess, Event
from batchbrew.training.engines import Engine
from batchbrew.training.weights import NORMALISATIONS, layer_blobs, some


@dataclass(frozen=True)
class TestResult:
    """Errors are shares of `images`, 0..1. `majority_error` is that of always guessing the commonest label.

    `untrained` names the layers for which the weights file holds nothing: they were left as their fillers say.
    """

    __test__ = False  # pytest: this is not a test class

    images: int
    classes: int
    top1_error: float
    top5_error: float | None
    majority_error: float
    untrained: tuple[str, ...] = ()


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
    engine: Engine,
    *,
    gpu: int | None = None,
    precision: str = DEFAULT_PRECISION,
    source: str | None = None,
    images: int | None = None,
    working_directory: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> TestResult:
    """Test `weights` in the TEST phase of `net_file`.

    `source` replaces the net's own test data, `images` bounds the number tested (default: all). Relative
    sources begin at `working_directory`. Raises InputError for a net without labelled test data, for weights
    of which none belongs to the net, for labels that are no class, and for scores that are not finite;
    EngineError when Caffe gives up.
    """
    folder = working_directory or Path.cwd()
    net = read_prototxt(net_file, caffe_pb2.NetParameter)
    if not weights.is_file():
        raise InputError(f"{weights} is not there: name a .caffemodel in --weights")
    trained = set(layer_blobs(read_binary(weights, caffe_pb2.NetParameter)))
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
            "precision": precision,
        }
        process = EngineProcess(engine, job, working_directory=folder)
        fields, layers = _run(process, weights, trained, on_progress)
    return _result(fields, untrained=tuple(name for name, _ in layers if name not in trained))


def describe_test_set(
    net: caffe_pb2.NetParameter, folder: Path, net_file: Path, images: int | None
) -> TestSet:
    """Find the test data, the scores and the labels of a net. Raises InputError naming what is missing."""
    layers = layers_in_state(net, caffe_pb2.TEST)
    judges = [layer for layer in layers if layer.type == "Accuracy"]
    judges = judges or [layer for layer in layers if layer.type == "SoftmaxWithLoss"]
    if not judges:
        raise InputError(
            f"{net_file}: no Accuracy or SoftmaxWithLoss layer in phase TEST says what the scores and labels are: "
            "give the train_val.prototxt, not the deploy.prototxt"
        )
    data = _data_layer(net, net_file)
    source = data.data_param.source or data.image_data_param.source
    leveldb = data.type == "Data" and data.data_param.backend != caffe_pb2.DataParameter.LMDB
    count = images if leveldb and images is not None else _count(data, folder)
    if count < 1:
        raise InputError(f"{source}: there is no image to test on")
    if images is not None and images > count:  # Caffe would begin again, and count images twice
        raise InputError(
            f"--images {images} is more than the {count} that {source} holds: leave it away for all"
        )
    judge = judges[-1]  # the last: GoogLeNet's auxiliary heads come before its own
    if len(judge.bottom) != 2:
        raise InputError(
            f"{net_file}: layer {judge.name!r} has {len(judge.bottom)} bottoms: scores and labels are expected"
        )
    return TestSet(source, count if images is None else images, judge.bottom[0], judge.bottom[1])


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
            count = 0
            for count, line in enumerate(file, start=1):
                if not line.strip():
                    raise InputError(
                        f"{source}, line {count} is empty: Caffe takes it for an image, remove it"
                    )
            return count
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error


def _run(
    process: EngineProcess, weights: Path, trained: set[str], on_progress: Callable[[int, int], None]
) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """What the worker counted, and names and types of the net's layers that have weights."""
    result: dict[str, object] | None = None
    layers: list[tuple[str, str]] = []
    try:
        for message in process.messages():
            if not isinstance(message, Event):
                continue
            if message.name == "loaded":
                layers = [(name, type_) for name, type_ in message.fields["layers"]]
                _refuse_foreign_weights(weights, trained, layers)
            elif message.name == "tested":
                on_progress(message.fields["done"], message.fields["of"])
            elif message.name == "result":
                result = message.fields
            else:
                raise InputError(_refusal(message, weights))
    finally:
        process.kill()
    if result is None:
        raise EngineError(
            f"the test failed: {process.failure() or 'the Caffe process ended before its work was done'}"
        )
    return result, layers


def _refusal(message: Event, weights: Path) -> str:
    """Why the worker did not go on, in words."""
    fields = message.fields
    if message.name == "not_finite":
        return f"{weights} gives scores that are nan or inf: it was saved after training diverged"
    if message.name == "bad_label":
        return (
            f"the test data hold label {fields['label']}, the net has {fields['classes']} classes (0 is the first): "
            "use the data or the --classes that belong together"
        )
    assert message.name == "no_classifier", message
    return (
        f"the scores are a blob of shape {fields['scores']}, the labels are {fields['labels']}: only networks "
        "that give one row of class scores for an image can be tested"
    )


def _refuse_foreign_weights(weights: Path, trained: set[str], layers: list[tuple[str, str]]) -> None:
    """Caffe matches weights with layers by name, and says nothing of layers that it finds no weights for."""
    telling = [name for name, type_ in layers if type_ not in NORMALISATIONS] or [name for name, _ in layers]
    if telling and not trained.intersection(telling):
        raise InputError(
            f"{weights} belongs to another network: it has weights for none of this net's layers "
            f"({some(telling)}), but for {some(sorted(trained)) or 'no layer at all'}"
        )


def _result(fields: dict[str, object], *, untrained: tuple[str, ...]) -> TestResult:
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
        untrained=untrained,
    )
