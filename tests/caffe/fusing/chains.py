"""Nets with chains of layers that can be computed at once, and their passes in real Caffe and in ours, both ways.

A test module names its nets by `example(...)` while it is imported; the fixture `caffe_chains` (conftest.py) runs those
of all modules that were collected, in one process of real Caffe.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchbrew import caffe
from batchbrew.caffe import mode
from batchbrew.caffe.net import Net
from tests.caffe.fusing import chain_probe

Arrays = dict[str, NDArray[np.float32]]
Step = tuple[Any, ...]
DATA, GRADIENTS = 1e-5, 1e-4  # of the largest number
ROUNDING = 1e-6  # of the net's largest gradient: what is less is rounding only

FORWARD: Step = ("forward", None, None)
BACKWARD: Step = ("backward", None, None)
LOOK: Step = ("look",)
TWICE = [("fill", 1), FORWARD, BACKWARD, LOOK, ("fill", 2), FORWARD, LOOK, BACKWARD, LOOK]
STATISTICS = (
    "param { lr_mult: 0 } " * 3
)  # as prototxts write it, so that BatchNorm does not run backward for them


@dataclass(frozen=True)
class Example:
    """A net and what is to be done with it. `zeros`: how many factors of each Scale are 0; `shifts`: how large they
    are. `besides`: a pattern of what is compared between our two ways alone.
    """

    net: str
    steps: Sequence[Step] = field(default_factory=lambda: TWICE)
    phase: int = caffe.TRAIN
    zeros: int = 0
    shifts: float = 1
    besides: str | None = None

    def job(self, name: str, folder: Path) -> dict[str, object]:
        """What the probe reads."""
        path = folder / f"{name.replace(' ', '_').replace('/', '-')}.prototxt"
        path.write_text(self.net)
        return {
            "name": name, "net": str(path), "phase": self.phase, "steps": self.steps,
            "zeros": self.zeros, "shifts": self.shifts, "seed": len(name),
        }  # fmt: skip


EXAMPLES: dict[str, Example] = {}


def example(name: str, made: Example) -> str:
    """Have real Caffe run it, too. Returns its name."""
    assert name not in EXAMPLES, f"two examples are named {name}"
    EXAMPLES[name] = made
    return name


def layer(kind: str, name: str, bottom: str | Sequence[str], top: str, more: str = "") -> str:
    """A layer's text."""
    bottoms = [bottom] if isinstance(bottom, str) else bottom
    named = " ".join(f'bottom: "{each}"' for each in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {named} top: "{top}" {more} }}\n'


def inputs(*shapes: Sequence[int], labels: int = 4) -> str:
    """Inputs x, x1 ..., and a label for each image."""
    names = ["x", "x1", "x2"][: len(shapes)]
    dims = [" ".join(f"dim: {n}" for n in shape) for shape in [*shapes, [labels]]]
    tops = " ".join(f'top: "{name}"' for name in [*names, "label"])
    return (
        f'layer {{ name: "in" type: "Input" {tops} '
        f"input_param {{ {' '.join(f'shape {{ {each} }}' for each in dims)} }} }}\n"
    )


def convolution(
    name: str, bottom: str, top: str, more: str = "", about: str = "num_output: 5 kernel_size: 3"
) -> str:
    """A Convolution."""
    return layer("Convolution", name, bottom, top, f"{more} convolution_param {{ {about} }}")


def scores(bottom: str, more: str = "") -> str:
    """An InnerProduct `score` of three classes."""
    return layer("InnerProduct", "score", bottom, "score", f"{more} inner_product_param {{ num_output: 3 }}")


def loss(bottom: str = "score") -> str:
    """The loss of scores."""
    return layer("SoftmaxWithLoss", "loss", [bottom, "label"], "loss")


BIAS = "scale_param { bias_term: true }"


def chain(
    bottom: str, places: str, kinds: str = "bsr", norm: str = "", scale: str = BIAS, relu: str = ""
) -> str:
    """BatchNorm (b), Scale (s) and ReLU (r), each of which reads what the one before it made.

    `places`: for each the name of its top.
    """
    texts = []
    types = {"b": ("BatchNorm", "norm", norm), "s": ("Scale", "scale", scale), "r": ("ReLU", "relu", relu)}
    for place, kind in zip(places, kinds, strict=True):
        type_, name, more = types[kind]
        texts.append(layer(type_, name, bottom, place, more))
        bottom = place
    return "".join(texts)


def units(text: str, folder: Path, phase: int = caffe.TRAIN) -> list[tuple[str, list[str]]]:
    """What of a net is computed at once: by kind, the names of the layers."""
    (folder / "units.prototxt").write_text(text)
    net = Net(folder / "units.prototxt", phase)
    names = net._layer_names
    return [
        (type(unit).__name__, names[unit.first : unit.last + 1]) for unit in net._passes._by_first.values()
    ]


def in_real_caffe(caffe_python: Path, folder: Path) -> dict[str, Arrays]:
    """All examples, by name; one process of real Caffe."""
    (folder / "jobs.json").write_text(json.dumps([each.job(name, folder) for name, each in EXAMPLES.items()]))
    command: list[str | Path] = [
        caffe_python,
        chain_probe.__file__,
        folder / "jobs.json",
        folder / "found.npz",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "GLOG_minloglevel": "2"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Arrays] = {name: {} for name in EXAMPLES}
    with np.load(folder / "found.npz") as arrays:
        for key in arrays:
            name, _, rest = key.partition("|")
            found[name][rest] = arrays[key]
    return found


def in_ours(name: str, folder: Path, fused: bool) -> Arrays:
    """The same of one example, in this process."""
    before = mode.fuses()
    mode.set_fusing(fused)
    try:
        found: Arrays = chain_probe.run(caffe, EXAMPLES[name].job(name, folder))
    finally:
        mode.set_fusing(before)
    return found


def assert_three_alike(name: str, real: Arrays, folder: Path) -> None:
    """Fused, layer by layer, and real Caffe."""
    fused, apart = in_ours(name, folder, fused=True), in_ours(name, folder, fused=False)
    assert_same(fused, apart)
    besides = EXAMPLES[name].besides
    wanted = {key: each for key, each in real.items() if besides is None or not re.search(besides, key)}
    assert fused.keys() == real.keys() and (besides is None or len(wanted) < len(real))
    for ours in (fused, apart):
        assert_same({key: ours[key] for key in wanted}, wanted)


def again(text: str) -> str:
    """A chain's text with other names of layers."""
    return re.sub('name: "(norm|scale|relu)"', r'name: "\g<1>2"', text)


def assert_same(
    found: Mapping[str, NDArray[np.float32]], expected: Mapping[str, NDArray[np.float32]]
) -> None:
    """Data within 1e-5, gradients within 1e-4 of the largest of the blob, or for parameters of the layer: the gradient
    of a bias before BatchNorm is rounding alone.
    """
    assert sorted(found) == sorted(expected)
    every = max((_largest(each) for key, each in expected.items() if _is_gradient(key)), default=0.0)
    wrong = []
    for key, exact in expected.items():
        assert found[key].shape == exact.shape, key
        size, tolerance = _largest(exact), DATA
        if _is_gradient(key):
            tolerance = GRADIENTS
            size = max([size, ROUNDING * every / tolerance, *_of_its_layer(key, expected)])
        error = _largest(found[key] - exact)
        if not error <= tolerance * size:
            wrong.append(f"{key}: off by {error:.2e} of {size:.2e}")
    assert not wrong, "\n".join(wrong)


def _is_gradient(key: str) -> bool:
    return " diff " in f" {key}" or " gradient " in f" {key}"


def _of_its_layer(key: str, arrays: Mapping[str, NDArray[np.float32]]) -> list[float]:
    if " gradient " not in key:
        return []
    stem = key.rpartition(" ")[0]
    return [_largest(each) for other, each in arrays.items() if other.startswith(stem + " ")]


def _largest(array: NDArray[np.float32]) -> float:
    return float(np.abs(array).max(initial=0))
