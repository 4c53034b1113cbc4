"""What the probe wrote of a case."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from batchbrew.errors import EngineError
from batchbrew.parity.specimens.values import Array


@dataclass(frozen=True)
class Refused:
    """An engine's word that it will not compute a case.

    `kinds`: the names of the exception's classes, the nearest first; "signal 6" of a process that gave a
    reason and ended, "crash" of one that gave none; `stage`: how far it had come.
    """

    kinds: Sequence[str]
    text: str
    stage: str

    @property
    def crashed(self) -> bool:
        """Did the process end without a word of its own? (Real Caffe's own way to refuse is a word and signal 6.)"""
        return self.kinds[0] == "crash"

    def __str__(self) -> str:
        return f"{self.kinds[0]} at {self.stage}: {self.text}"


@dataclass(frozen=True)
class Result:
    """Arrays by key: PASS|data|BLOB, PASS|diff|BLOB, PASS|parameter|LAYER|NUMBER, PASS|gradient|..., PASS|loss.

    0|file|NAME|DATA SET is what the case wrote into HDF5 files. `net`: what the net tells of itself, absent if it
    was not built.
    """

    refused: Refused | None
    arrays: Mapping[str, Array]
    net: Mapping[str, Any] | None


def read_result(case_folder: Path, engine: str) -> Result:
    """Raises EngineError if there is none."""
    folder = case_folder / engine
    try:
        told = json.loads((folder / "result.json").read_text())
    except OSError as error:
        raise EngineError(f"the engine {engine} left no result of {case_folder.name}: {error}") from error
    refused = Refused(**told["refused"]) if "refused" in told else None
    arrays: dict[str, Array] = {}
    if refused is None:
        with np.load(folder / "result.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        arrays.update(_hdf5_files(folder))
    return Result(refused, arrays, told.get("net"))


def _hdf5_files(folder: Path) -> Iterator[tuple[str, Array]]:
    """What HDF5Output layers wrote."""
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            for name, dataset in file.items():
                yield f"0|file|{path.name}|{name}", dataset[...]
