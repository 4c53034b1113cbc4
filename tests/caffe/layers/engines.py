"""The same net in real Caffe and in ours: their blobs' shapes, and what they hold after some forward passes."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.net import Net
from batchbrew.proto import caffe_pb2 as pb

Blobs = dict[str, NDArray[Any]]  # by pass and name, "0 data"; "shape data" before the first pass

PROBE = """
import sys, caffe, numpy
found = {}
for case in open(sys.argv[1]).read().splitlines():
    name, phase, passes, count, rank = case.split("\\t")
    caffe.set_solver_count(int(count)); caffe.set_solver_rank(int(rank))
    net = caffe.Net(name, int(phase))
    for blob in net.blobs:
        found["%s shape %s" % (name, blob)] = numpy.array(net.blobs[blob].data.shape)
    for number in range(int(passes)):
        net.forward()
        for blob in net.blobs:
            found["%s %d %s" % (name, number, blob)] = net.blobs[blob].data.copy()
    del net
numpy.savez(sys.argv[2], **found)
"""


class Case(NamedTuple):
    """A net, and how many forward passes of it are wanted, by one of how many solvers."""

    name: str
    layers: str
    passes: int = 3
    phase: pb.Phase = pb.TEST
    solvers: int = 1
    rank: int = 0

    def write(self, folder: Path) -> Path:
        """Its prototxt, written."""
        path = folder / f"{self.name}.prototxt"
        path.write_text(self.layers)
        return path


def in_real_caffe(caffe_python: Path, cases: Sequence[Case], folder: Path) -> dict[str, Blobs]:
    """All cases in one process, by name. Raises AssertionError with its log if it ends early."""
    lines = [
        f"{case.write(folder)}\t{int(case.phase)}\t{case.passes}\t{case.solvers}\t{case.rank}"
        for case in cases
    ]
    (folder / "cases").write_text("\n".join(lines))
    done = subprocess.run(
        [caffe_python, "-c", PROBE, folder / "cases", folder / "found.npz"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    blobs: dict[str, Blobs] = {case.name: {} for case in cases}
    with np.load(folder / "found.npz") as found:
        for key in found.files:
            path, _, blob = key.partition(".prototxt ")
            blobs[Path(path).name][blob] = found[key]
    return blobs


def in_ours(case: Case, folder: Path) -> Blobs:
    """The same of our engine. The solvers' count and rank are for the caller to set."""
    net = Net(case.write(folder), case.phase)
    blobs = {f"shape {name}": np.array(blob.shape) for name, blob in net.blobs.items()}
    for number in range(case.passes):
        net.forward()
        blobs.update({f"{number} {name}": blob.data.copy() for name, blob in net.blobs.items()})
    return blobs


def make(folder: Path, layers: str, phase: pb.Phase = pb.TEST, name: str = "net") -> Net:
    """A net of ours."""
    return Net(Case(name, layers, phase=phase).write(folder), phase)
