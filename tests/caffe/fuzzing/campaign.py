"""Many damaged inputs of every kind, and a tally of what came of them."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from tests.caffe.fuzzing.damaged import Damaged, write_damaged
from tests.caffe.fuzzing.exercise import LOADED, REFUSED, VIOLATION
from tests.caffe.fuzzing.file_cases import FILES, Draw
from tests.caffe.fuzzing.net_cases import (
    layer_case,
    net_case,
    numbers_case,
    shapes_case,
    solver_case,
    source_case,
)

ROOT = Path(__file__).parents[3]
KINDS: dict[str, Draw] = {
    "layer": layer_case,
    "net": net_case,
    "source": source_case,
    "solver": solver_case,
    "numbers": numbers_case,
    "shapes": shapes_case,
    **FILES,
}
# How many of a hundred inputs are of that kind.
SHARES = {
    "layer": 22, "net": 8, "source": 8, "solver": 9, "numbers": 8, "shapes": 7, "caffemodel": 7, "caffemodel.h5": 4,
    "solverstate": 5, "solverstate.h5": 3, "binaryproto": 4, "datum": 5, "lmdb": 2, "hdf5": 3, "image": 3, "list": 2,
}  # fmt: skip
BATCH = 200
VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d[\d,.×e+-]*|(?<=layer )\S+|(?<=bottom )\S+|\S*/\S*")


@dataclass
class Tally:
    """What came of the inputs of a kind. `messages`: errors, names and numbers left out, with how often they came."""

    inputs: int = 0
    loaded: int = 0
    refused: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    violations: list[dict[str, Any]] = field(default_factory=list)
    slowest_seconds: float = 0.0

    def add(self, case: Damaged, result: dict[str, Any]) -> None:
        """Count one."""
        self.inputs += 1
        self.slowest_seconds = max(self.slowest_seconds, result["seconds"])
        if result["outcome"] == LOADED:
            self.loaded += 1
        elif result["outcome"] == REFUSED:
            self.refused += 1
            self.messages[VARIABLE.sub("…", result["text"])[:200]] += 1
        else:
            assert result["outcome"] == VIOLATION
            again = f"--kind {case.kind} --seed {case.seed} --number {case.number}"
            self.violations.append({"again": again, **result})


def run_campaign(seed: int, inputs: int, kinds: Sequence[str] = ()) -> Iterator[dict[str, Tally]]:
    """Draw and attempt so many inputs, or a few more; the tallies by kind so far, after each batch."""
    shares = {kind: SHARES[kind] for kind in kinds or SHARES}
    total = sum(shares.values())
    counts = {kind: ceil(inputs * share / total) for kind, share in shares.items()}
    wanted = [(kind, number) for kind, count in counts.items() for number in range(count)]
    tallies = {kind: Tally() for kind in shares}
    for start in range(0, len(wanted), BATCH):
        cases = [KINDS[kind](kind, seed, number) for kind, number in wanted[start : start + BATCH]]
        for case, result in zip(cases, attempt_all(cases), strict=True):
            tallies[case.kind].add(case, result)
        yield tallies


def attempt_all(cases: Sequence[Damaged], keep: Path | None = None) -> list[dict[str, Any]]:
    """What comes of each, attempted in the jail; `keep` is a folder for the files."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        for number, case in enumerate(cases):
            write_damaged(case, folder / f"{number:05d}")
        done = subprocess.run(
            [sys.executable, "-m", "tests.caffe.fuzzing.jail", folder],
            cwd=ROOT, env=_environment(), capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines()]


def _environment() -> dict[str, str]:
    """One thread, and little memory set apart for each: it counts as used."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
