#!/usr/bin/env python3
"""How far training on the torch engine is from training on real Caffe: ResNet-10 and AlexNet-BN, 50 iterations.

    .venv/bin/python benchmarks/training_parity.py [--rate 0.01] [--iterations 50] [--batch 8] [--nets resnet10,alexnet]

Both go on from one snapshot, taken after five iterations of real Caffe, over the same LMDB in the same order, without
random crops. Beside it stand what real Caffe differs from itself by with one thread in place of two, and resuming:
the first half in one engine and the second in the other, against real Caffe stopped and resumed in the middle.

`--rate` is by what the paper's learning rate, scaled to the batch, is multiplied. At 1 a net that has just begun to
train is chaotic: real Caffe with another number of threads is soon somewhere else.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import lmdb
import numpy as np
from measuring import write_results

from batchbrew.nets.command import main as generate
from batchbrew.parity.engines import bvlc, torch
from batchbrew.parity.training import difference, train
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt, write_prototxt
from batchbrew.training.engines import find_caffe_python

CLASSES = 10
NETS = {"resnet10": ("resnet", "--depth", "10"), "alexnet": ("alexnet",)}
CROPS = {"resnet10": 224, "alexnet": 227}
PAPERS_BATCH = 256  # to which its learning rates belong
WARM_UP_ITERATIONS = 5


def main() -> None:
    """Measure all nets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--nets", default=",".join(NETS))
    options = parser.parse_args()
    rows = {}
    for net in options.nets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows[net] = measure(net, Path(folder), options.iterations, options.batch, options.rate)
    write_results(
        f"training_parity_rate_{options.rate:g}",
        {"iterations": options.iterations, "batch": options.batch, **rows},
    )


def measure(net: str, folder: Path, iterations: int, batch: int, rate: float) -> dict[str, str]:
    """All comparisons for one net."""
    half = iterations // 2
    write_images(folder / "lmdb", CROPS[net], half * batch)  # so that a resumed run begins where the other is
    solver = write_model(net, folder, batch, rate)
    caffe, ours = bvlc(find_caffe_python().path), torch()
    start = train(caffe, solver, WARM_UP_ITERATIONS, None, "start").state
    whole = train(caffe, solver, iterations, start, "bvlc")
    other = train(ours, solver, iterations, start, "torch")
    threads = train(caffe, solver, iterations, start, "one_thread", threads=1)
    first = train(caffe, solver, half, start, "first")
    resumed = train(caffe, solver, iterations - half, first.state, "bvlc_bvlc")
    middle = train(ours, solver, half, start, "middle")
    through = train(caffe, solver, iterations - half, middle.state, "bvlc_torch_bvlc")
    return {
        "torch_against_bvlc": str(difference(other, whole)),
        "bvlc_with_one_thread_against_two": str(difference(threads, whole)),
        "bvlc_resumed_in_bvlc_against_uninterrupted": str(difference(resumed, whole)),
        "bvlc_torch_bvlc_against_uninterrupted": str(difference(through, whole)),
        "last_loss": f"{whole.losses[-1]:.6f}, torch {other.losses[-1]:.6f}",
        "seconds": f"bvlc {whole.seconds:.1f}, torch {other.seconds:.1f}",
    }


def write_images(path: Path, size: int, count: int) -> None:
    """Smooth random pictures, brighter or darker by their class, of the net's own input size."""
    draw = np.random.default_rng(1)
    with lmdb.open(str(path), map_size=1 << 32) as environment, environment.begin(write=True) as transaction:
        for index in range(count):
            label = int(draw.integers(CLASSES))
            small = draw.integers(0, 200, (12, 12, 3)).astype(np.uint8)
            image = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC) // 2 + 10 * label
            datum = pb.Datum(channels=3, height=size, width=size, label=label)
            datum.data = image.transpose(2, 0, 1).astype(np.uint8).tobytes()
            transaction.put(b"%08d" % index, datum.SerializeToString())


def write_model(net: str, folder: Path, batch: int, rate: float) -> Path:
    """The net as its generator writes it, but for random crops and mirrors; its solver's file."""
    family, *options = NETS[net]
    options = [
        *options, "--classes", str(CLASSES), "--crop", str(CROPS[net]), "--train", str(folder / "lmdb"),
        "--val", str(folder / "lmdb"), "--out", str(folder / "model"),
        "--batch", str(batch), "--device-batch", str(batch),
    ]  # fmt: skip
    assert generate(family, options) == 0, "the generator says what is wrong"
    file = folder / "model" / "train_val.prototxt"
    model = read_prototxt(file, pb.NetParameter)
    for layer in model.layer:
        if layer.type == "Data":
            layer.transform_param.ClearField("crop_size")
            layer.transform_param.ClearField("mirror")
    write_prototxt(file, model)
    solver = read_prototxt(folder / "model" / "solver.prototxt", pb.SolverParameter)
    solver.net = str(file)
    for field in ("test_iter", "test_interval", "test_initialization", "snapshot"):
        solver.ClearField(field)
    solver.base_lr *= rate * batch / PAPERS_BATCH
    solver.solver_mode = solver.CPU
    solver.random_seed = 1
    path = folder / "solver.prototxt"
    write_prototxt(path, solver)
    return path


if __name__ == "__main__":
    main()
