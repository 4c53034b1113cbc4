"""The networks that benchmarks train: as the generators write them, their images from an LMDB or made up."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.command import generator_parser, requested_model
from batchbrew.nets.generation import Model
from batchbrew.nets.inputs import DATA, LABEL
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import write_prototxt

# Small, because the labels of made-up images cannot be learned: at a usual rate such a loss may end as nan, and nan
# takes another time to compute with.
LEARNING_RATE = 1e-4
LARGEST_BATCH = 65_536
NO_TESTS_NO_SNAPSHOTS = (
    "test_iter", "test_interval", "test_initialization", "snapshot", "display",
)  # fmt: skip


@dataclass(frozen=True)
class BenchmarkNet:
    """`family` and `options` are the generator's; `crop` is an image's side; `torchvision` the nearest kin there."""

    name: str
    title: str
    family: str
    options: tuple[str, ...]
    batch: int
    crop: int
    gpu_batch: int
    torchvision: str = ""
    classes: int = 1000


NETS = {
    net.name: net
    for net in (
        BenchmarkNet("alexnet", "AlexNet-BN", "alexnet", (), 32, 227, 512),
        BenchmarkNet("vgg19", "VGG19-BN", "vgg", ("--depth", "19"), 8, 224, 128, "vgg19_bn"),
        BenchmarkNet("resnet10", "ResNet-10", "resnet", ("--depth", "10"), 16, 224, 512),
        BenchmarkNet("resnet50", "ResNet-50", "resnet", ("--depth", "50"), 16, 224, 256, "resnet50"),
    )
}


def resized(nets: Iterable[BenchmarkNet], batches: Sequence[str], *, on_gpu: bool) -> Iterator[BenchmarkNet]:
    """The nets with the batches that suit the device, or those that texts like resnet50=128 say.

    Raises InputError for a text that is not understood.
    """
    own = dict(map(_batch, batches))
    for net in nets:
        usual = net.gpu_batch if on_gpu else net.batch
        yield dataclasses.replace(net, batch=own.get(net.name, usual))


def _batch(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in NETS or not number.isdecimal() or not 1 <= int(number) <= LARGEST_BATCH:
        raise InputError(
            f"--batch {text} is not NET=N, a net of {', '.join(NETS)} and 1 to {LARGEST_BATCH:,} images: "
            "write resnet50=128"
        )
    return name, int(number)


def generated(net: BenchmarkNet, source: str, more: Sequence[str] = ()) -> Model:
    """What its generator makes of it, with an LMDB `source`, which need not be there; `more` options of a generator."""
    options = [
        *net.options, "--classes", str(net.classes), "--crop", str(net.crop), "--train", source, "--val", source,
        "--source-type", "lmdb", "--train-images", "1000000", "--val-images", "1000", "--batch", str(net.batch),
        "--device-batch", str(net.batch), "--base-lr", str(LEARNING_RATE), "--out", "", *more,
    ]  # fmt: skip
    parsed = generator_parser(net.family).parse_args(options)
    return requested_model(net.family, parsed, warn=lambda text: None)[1]


def write_synthetic(net: BenchmarkNet, folder: Path) -> Path:
    """The file of a solver whose net has an Input layer in place of a data layer: whoever runs it fills it once."""
    model = generated(net, "made-up")
    given = pb.NetParameter(name=model.train_val.name)
    shapes = [pb.BlobShape(dim=[net.batch, 3, net.crop, net.crop]), pb.BlobShape(dim=[net.batch])]
    given.layer.add(name="data", type="Input", top=[DATA, LABEL], input_param=pb.InputParameter(shape=shapes))
    given.layer.extend(layer for layer in _trained(model.train_val) if layer.type != "Data")
    return _write(net, folder, given, model.solver)


def write_from_lmdb(net: BenchmarkNet, folder: Path, lmdb: Path) -> Path:
    """The same with the net's own data layer, which reads `lmdb`, crops and mirrors."""
    model = generated(net, str(lmdb.absolute()))
    given = pb.NetParameter(name=model.train_val.name, layer=_trained(model.train_val))
    return _write(net, folder, given, model.solver)


def _trained(net: pb.NetParameter) -> list[pb.LayerParameter]:
    """Without what only tests have."""
    return [
        layer for layer in net.layer if not any(rule.phase == pb.TEST for rule in layer.include)
    ]  # of the nets here: its data layer and the accuracies


def _write(net: BenchmarkNet, folder: Path, train_val: pb.NetParameter, solver: pb.SolverParameter) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_prototxt(folder / "train_val.prototxt", train_val)
    for field in NO_TESTS_NO_SNAPSHOTS:
        solver.ClearField(field)
    solver.net = str((folder / "train_val.prototxt").absolute())
    solver.snapshot_prefix = str((folder / net.name).absolute())
    solver.snapshot_after_train = False
    solver.solver_mode = pb.SolverParameter.CPU
    solver.random_seed = 1
    write_prototxt(folder / "solver.prototxt", solver)
    return folder / "solver.prototxt"
