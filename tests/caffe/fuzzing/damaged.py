"""A damaged input: what is to be done with it, and its files."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from batchbrew.parity.specimens.values import Array


@dataclass(frozen=True)
class Damaged:
    """By `kind`, `seed` and `number` it can be drawn again. `job` is what `exercise.py` reads; files are seen from
    the folder in which it works as ../NAME.
    """

    kind: str
    seed: int
    number: int
    job: Mapping[str, Any]
    files: Mapping[str, bytes]
    arrays: Mapping[str, Array] = field(default_factory=dict)


def write_damaged(case: Damaged, folder: Path) -> None:
    """Make `folder`, with a folder `run` in it to work in."""
    (folder / "run").mkdir(parents=True)
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "job.json").write_text(json.dumps({**case.job, "seed": case.seed + case.number}))
    arrays = io.BytesIO()
    np.savez(arrays, **case.arrays)  # type: ignore[arg-type]
    (folder / "arrays.npz").write_bytes(arrays.getvalue())
