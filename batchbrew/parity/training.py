"""The same training in both engines: from one snapshot, with the same images in the same order."""

import json
import math
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchbrew.errors import EngineError
from batchbrew.parity.engines import ProbedEngine
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import Floats, blob_array
from batchbrew.proto.text import read_prototxt, write_prototxt

TINY = 1e-12
PROBE = Path(__file__).with_name("training_probe.py")


@dataclass(frozen=True)
class Trained:
    """A piece of training: its losses, one an iteration, its snapshot, its seconds."""

    losses: Sequence[float]
    model: Path
    state: Path
    seconds: float


@dataclass(frozen=True)
class Difference:
    """How far two trainings are apart.

    `loss` is the largest relative difference of the losses of one iteration. `weights` is the largest difference of two
    numbers of a parameter at the end, by the largest magnitude in it, or for a bias in the layer's weights: before a
    BatchNorm a bias has no gradient but rounding. BatchNorm's statistics count each by its own magnitude, its means,
    which may cancel to nothing, by the standard deviations where those are larger.
    """

    loss: float
    weights: float
    worst: str

    def __str__(self) -> str:
        return f"loss {self.loss:.1e}, weights {self.weights:.1e} ({self.worst})"


def train(
    engine: ProbedEngine, solver: Path, iterations: int, start: Path | None, name: str, threads: int = 2
) -> Trained:
    """Train `iterations` on from the solverstate `start`, in the solver's folder; `name` is that of its snapshot."""
    folder = solver.parent
    parameters = read_prototxt(solver, pb.SolverParameter)
    parameters.snapshot_prefix = str(folder / name)
    own_solver = folder / f"{name}.solver.prototxt"
    write_prototxt(own_solver, parameters)
    job = {
        "solver": str(own_solver), "state": None if start is None else str(start), "iterations": iterations,
        "threads": threads, "losses": str(folder / f"{name}.losses.json"),
    }  # fmt: skip
    job_file = folder / f"{name}.job.json"
    job_file.write_text(json.dumps(job))
    done = subprocess.run(
        [*engine.command, str(PROBE), str(job_file)], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, **engine.environment, "GLOG_minloglevel": "2"},
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"the engine {engine.name} ended with {done.returncode} while it trained: {last}")
    found = json.loads((folder / f"{name}.losses.json").read_text())
    state = max(folder.glob(f"{name}_iter_*.solverstate"), key=lambda path: path.stat().st_mtime)
    return Trained(found["losses"], state.with_suffix(".caffemodel"), state, found["seconds"])


def difference(one: Trained, other: Trained) -> Difference:
    """Compare the losses that both have, counted from the end, and the weights."""
    count = min(len(one.losses), len(other.losses))
    losses, others = (np.array(trained.losses[-count:]) for trained in (one, other))
    loss = float(np.max(np.abs(losses - others) / np.abs(others)))
    worst, where = 0.0, "none differs"
    theirs = {layer.name: layer for layer in read_binary(other.model, pb.NetParameter).layer}
    for layer in read_binary(one.model, pb.NetParameter).layer:
        pairs = list(zip(layer.blobs, theirs[layer.name].blobs, strict=True))
        scales = _scales(layer.type, [blob_array(its) for _, its in pairs])
        for index, (mine, its) in enumerate(pairs):
            apart = float(np.abs(blob_array(mine) - blob_array(its)).max()) / max(scales[index], TINY)
            if not apart <= worst:
                worst, where = apart, f"parameter {index} of {layer.name}"
    return Difference(loss, worst, where)


def _scales(kind: str, blobs: Sequence[Floats]) -> list[float]:
    """By what each parameter's difference is divided."""
    scales = [float(np.abs(blob).max()) for blob in blobs]
    if kind in ("Convolution", "InnerProduct", "Scale"):
        return [scales[0]] * len(scales)
    if (
        kind == "BatchNorm"
    ):  # sums, times the same factor: mean·f and variance·f, so deviation·f = √(variance·f·f)
        scales[0] = max(scales[0], math.sqrt(scales[1] * scales[2]))
    return scales
