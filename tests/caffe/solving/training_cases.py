"""Small trainings of all kinds, and their runs in both engines."""

import json
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchbrew import caffe
from tests.caffe.solving import training_probe

Arrays = dict[str, NDArray[np.float32]]
ITERATIONS = 24
RATES = {"SGD": 0.05, "Nesterov": 0.05, "AdaGrad": 0.05, "RMSProp": 0.01, "AdaDelta": 1.0, "Adam": 0.01}
POLICIES = {
    "fixed": "",
    "step": "gamma: 0.5 stepsize: 5",
    "exp": "gamma: 0.97",
    "inv": "gamma: 0.1 power: 0.75",
    "multistep": "gamma: 0.3 stepvalue: 4 stepvalue: 4 stepvalue: 17",
    "poly": "power: 1.5",
    "sigmoid": "gamma: 0.3 stepsize: 10",
}

NET = """
name: "small"
layer {{ name: "in" type: "Input" top: "x" top: "y"
  input_param {{ shape {{ dim: 6 dim: 5 }} shape {{ dim: 6 dim: 3 }} }} }}
layer {{ name: "a" type: "InnerProduct" bottom: "x" top: "a" {a}
  inner_product_param {{ num_output: 5 bias_term: false }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "a" top: "a" }}
layer {{ name: "scale" type: "Scale" bottom: "a" top: "a" {scale} scale_param {{ bias_term: true }} }}
layer {{ name: "relu" type: "ReLU" bottom: "a" top: "a" }}
layer {{ name: "b" type: "InnerProduct" bottom: "a" top: "b" {b} inner_product_param {{ num_output: 5 }} }}
layer {{ name: "c" type: "InnerProduct" bottom: "b" top: "c" {c} inner_product_param {{ num_output: 5 }} }}
layer {{ name: "d" type: "InnerProduct" bottom: "c" top: "d" {d} inner_product_param {{ num_output: 3 }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "d" bottom: "y" top: "loss" loss_weight: 0.7 }}
"""


@dataclass(frozen=True)
class Training:
    """A solver in a folder, and how far it is to go."""

    name: str
    solver: Path
    until: int = ITERATIONS
    resume: Path | None = None

    @property
    def job(self) -> dict[str, object]:
        """What the probe reads."""
        resume = None if self.resume is None else str(self.resume)
        return {"name": self.name, "solver": str(self.solver), "until": self.until, "resume": resume}


def write_training(folder: Path, name: str, seed: int, type_: str, more: str = "") -> Training:
    """A net and a solver of random parameters, of type `type_`."""
    numbers = random.Random(seed)

    def rates(count: int, names: Sequence[str] = ()) -> str:
        if not names and numbers.random() < 0.3:
            return ""
        given = [*(f'name: "{n}"' for n in names), *[""] * count][:count]
        return " ".join(
            f"param {{ {each} lr_mult: {numbers.choice([0, 1, 1, 2])} decay_mult: {numbers.choice([0, 1, 2.5])} }}"
            for each in given
        )

    shared = rates(2, ["shared"])
    again = 'param { name: "shared" }' if numbers.random() < 0.5 else rates(2)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.prototxt").write_text(
        NET.format(a=rates(1), scale=rates(2), b=shared, c=again, d=rates(2))
    )
    policy = list(POLICIES)[(seed + list(RATES).index(type_)) % len(POLICIES)]
    lines = [
        f'net: "{folder}/net.prototxt" type: "{type_}" base_lr: {RATES[type_]} max_iter: 30',
        f'lr_policy: "{policy}" {POLICIES[policy]}',
        f'weight_decay: {numbers.choice([0, 0.004, 0.03])} regularization_type: "{numbers.choice(["L1", "L2"])}"',
        f"clip_gradients: {numbers.choice([-1, 0.4, 2])} iter_size: {numbers.choice([1, 2, 3])}",
        f'average_loss: {numbers.choice([1, 4])} display: 0 snapshot_prefix: "{folder}/s" random_seed: 1',
        *_numbers_of(type_, numbers),
        more,
    ]
    solver = folder / "solver.prototxt"
    solver.write_text("\n".join(lines))
    return Training(name, solver)


def _numbers_of(type_: str, numbers: random.Random) -> Iterator[str]:
    if type_ in ("SGD", "Nesterov"):
        yield f"momentum: {numbers.choice([0, 0.5, 0.9])}"
    if type_ in ("AdaDelta", "Adam"):
        yield f"momentum: {numbers.choice([0.8, 0.95])}"
    if type_ == "Adam":
        yield "momentum2: 0.98"
    if type_ == "RMSProp":
        yield f"rms_decay: {numbers.choice([0.9, 0.98])}"
    if type_ not in ("SGD", "Nesterov"):
        yield f"delta: {numbers.choice([1e-3, 1e-6])}"


def in_real_caffe(caffe_python: Path, folder: Path, trainings: Sequence[Training]) -> dict[str, Arrays]:
    """Weights and diffs of all, by name; one process of real Caffe."""
    (folder / "jobs.json").write_text(json.dumps([each.job for each in trainings]))
    command: list[str | Path] = [
        caffe_python,
        training_probe.__file__,
        folder / "jobs.json",
        folder / "found.npz",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={"GLOG_minloglevel": "2"})
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Arrays] = {each.name: {} for each in trainings}
    with np.load(folder / "found.npz") as arrays:
        for key in arrays:
            name, _, rest = key.partition(" ")
            found[name][rest] = arrays[key]
    return found


def in_ours(training: Training) -> Arrays:
    """The same of one training, in this process."""
    return training_probe.train(caffe, training.job)


def assert_close(ours: Arrays, real: Arrays, tolerance: float) -> None:
    """Equal to `tolerance` of each array's largest number."""
    assert ours.keys() == real.keys()
    for name, expected in real.items():
        assert ours[name].shape == expected.shape, name
        largest = np.abs(expected).max(initial=0)
        assert np.isfinite(expected).all(), name
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=tolerance * largest, err_msg=name)
