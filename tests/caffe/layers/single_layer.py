"""Nets of one layer: what our engine computes of them, and beside it real Caffe, all examples in one process.

A test module names its examples by `example(...)` while it is imported; the fixture `caffe_answers` (conftest.py)
computes those of all modules that were collected.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from batchbrew.caffe.net import Net
from batchbrew.parity.case import Case, Pass, write_case
from batchbrew.parity.compare import compare
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

EXAMPLES: dict[str, Case] = {}
LEARN = "bias_param { axis: 0 num_axes: -1 }"  # a Bias of zeros: it passes on what it gets, and learns


def layer_case(
    fields: str,
    *bottoms: ArrayLike | Sequence[object],
    tops: Sequence[str] = ("y",),
    in_place: bool = False,
    diffs: Mapping[str, ArrayLike] | None = None,
    phase: int = pb.TRAIN,
    learned: int | None = None,
    parameters: Mapping[int, ArrayLike] | None = None,
    files: Mapping[str, bytes] | None = None,
    backward: bool = True,
) -> Case:
    """A layer of `fields` on bottoms x0, x1, ...; their gradients are all asked for by force_backward.

    With `learned` it is only that of the bottom of this number, which comes from a layer that learns. `diffs` are put
    into the tops before the backward pass, `parameters` into the layer. Files are found at ../NAME.
    """
    data = {f"x{index}": np.asarray(bottom, np.float32) for index, bottom in enumerate(bottoms)}
    shapes = " ".join(f"shape {{ {' '.join(f'dim: {n}' for n in array.shape)} }}" for array in data.values())
    names = list(data)
    text = f'layer {{ name: "in" type: "Input" {_each("top", names)} input_param {{ {shapes} }} }}'
    if learned is None:
        text = "force_backward: true " + text if backward else text
    else:
        text += f' layer {{ name: "bias" type: "Bias" bottom: "x{learned}" top: "b" {LEARN} }}'
        names[learned] = "b"
    out = [names[0]] if in_place else list(tops)
    text += f' layer {{ name: "tested" {_each("bottom", names)} {_each("top", out)} {fields} }}'
    return Case(
        "single layer", 1, 1, parse_prototxt(text, pb.NetParameter), phase,
        [Pass(data, {name: np.asarray(diff, np.float32) for name, diff in (diffs or {}).items()}, backward)],
        parameters={("tested", index): np.asarray(each, np.float32) for index, each in (parameters or {}).items()},
        files=files or {},
    )  # fmt: skip


def _each(field: str, names: Sequence[str]) -> str:
    return " ".join(f'{field}: "{name}"' for name in names)


def example(name: str, case: Case) -> str:
    """Have real Caffe compute `case`, too. Returns its name."""
    assert name not in EXAMPLES, f"two examples are named {name}"
    EXAMPLES[name] = case
    return name


def build(case: Case, folder: Path) -> Net:
    """Our net of `case`, with the parameters that it gives, written into `folder`, which must not be there."""
    write_case(case, folder)
    (folder / "ours").mkdir()
    before = Path.cwd()
    os.chdir(folder / "ours")
    try:
        net = Net("../net.prototxt", case.phase)
    finally:
        os.chdir(before)
    for (layer, index), array in case.parameters.items():
        net.params[layer][index].data[...] = array
    return net


def compute(case: Case, folder: Path) -> dict[str, Array]:
    """What our engine makes of `case`, by the keys of the parity probe: "0|data|y", "0|gradient|tested|0"."""
    net = build(case, folder)
    found: dict[str, Array] = {}
    for number, each in enumerate(case.passes):
        if each.clear:
            net.clear_param_diffs()
        for name, array in each.data.items():
            net.blobs[name].reshape(*array.shape)
        net.reshape()
        for name, array in each.data.items():
            net.blobs[name].data[...] = array
        found[f"{number}|loss"] = np.asarray(net._forward(0, len(net.layers) - 1))
        found.update({f"{number}|data|{name}": blob.data.copy() for name, blob in net.blobs.items()})
        found.update(_of_parameters(net, number, "parameter", "data"))
        if each.backward:
            for name, array in each.diffs.items():
                net.blobs[name].diff[...] = array
            net.backward()
            found.update({f"{number}|diff|{name}": blob.diff.copy() for name, blob in net.blobs.items()})
            found.update(_of_parameters(net, number, "gradient", "diff"))
    return found


def _of_parameters(net: Net, number: int, word: str, attribute: str) -> dict[str, Array]:
    return {
        f"{number}|{word}|{layer}|{index}": getattr(blob, attribute).copy()
        for layer, blobs in net.params.items()
        for index, blob in enumerate(blobs)
    }


def assert_as_in_caffe(name: str, answers: Mapping[str, Result], folder: Path) -> None:
    """Compare by the tolerances of the parity tool; nan and infinity must be in the same places."""
    theirs = answers[name]
    assert theirs.refused is None, f"real Caffe refuses it: {theirs.refused}"
    found = compare(
        EXAMPLES[name], theirs, Result(None, compute(EXAMPLES[name], folder / "case"), theirs.net)
    )
    assert not found.broken, f"{found.faults} {found.forward} {found.gradient}"
