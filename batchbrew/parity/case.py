"""A case: a net, what goes into it, and what is to be computed; as a folder that the probe reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import format_prototxt


@dataclass(frozen=True)
class Pass:
    """A forward pass, and a backward one if there is anything to differentiate.

    `data`: what input blobs are set to, by name, and reshaped if need be. `diffs`: what top blobs' diffs are set to
    before the backward pass. `clear`: are the parameters' gradients of earlier passes forgotten?
    """

    data: Mapping[str, Array] = field(default_factory=dict)
    diffs: Mapping[str, Array] = field(default_factory=dict)
    backward: bool = True
    clear: bool = True


@dataclass(frozen=True)
class Case:
    """By `kind` (a layer type, or a kind of net), `seed` and `number` it can be drawn again.

    `parameters`: values by layer name and number of the blob; what is not given keeps what its filler drew.
    `files`: contents by name. `memory`: images and labels of a MemoryData layer. `random`: are its numbers drawn
    anew in each engine, so that only their properties can be compared? `pictures` are then what a data layer
    reads, C×H×W each. `several_layers`: is it a net, not one layer? `bulky`: are its results large?
    """

    kind: str
    seed: int
    number: int
    net: pb.NetParameter
    phase: int
    passes: Sequence[Pass]
    parameters: Mapping[tuple[str, int], Array] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    memory: tuple[Array, Array] | None = None
    random: bool = False
    pictures: Sequence[Array] = ()
    several_layers: bool = False
    bulky: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} {self.number}"


def write_case(case: Case, folder: Path) -> None:
    """Make `folder`, which batchbrew/parity/probe.py reads."""
    folder.mkdir(parents=True)
    (folder / "net.prototxt").write_text(format_prototxt(case.net))
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    passes = [{"backward": each.backward, "clear": each.clear} for each in case.passes]
    description = {"phase": case.phase, "seed": case.seed % 2**31, "passes": passes}
    (folder / "case.json").write_text(json.dumps(description))
    arrays = {f"parameter|{layer}|{blob}": array for (layer, blob), array in case.parameters.items()}
    for number, each in enumerate(case.passes):
        arrays.update({f"{number}|data|{name}": array for name, array in each.data.items()})
        arrays.update({f"{number}|diff|{name}": array for name, array in each.diffs.items()})
    if case.memory is not None:
        arrays["memory|data"], arrays["memory|labels"] = case.memory
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
