"""Is a difference ours, or does the case itself magnify rounding? Caffe is asked again, one last bit away.

Some results hang on the last bit of what went in: a gradient that cancels, a number that lies beside a kink of
ReLU after ten layers. No two implementations, nor Caffe with another BLAS, agree on those. So where a difference
is beyond its tolerance, real Caffe computes the same case with its inputs and parameters changed in their last
bit (of float32; where ours computes with bfloat16, by as much as that rounds), a few times. A difference not much
larger than what that does to Caffe's own answer says nothing about ours.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from batchbrew.parity.case import Case, Pass, write_case
from batchbrew.parity.compare import Comparison, compare
from batchbrew.parity.engines import ProbedEngine, run_probe
from batchbrew.parity.results import read_result
from batchbrew.parity.specimens.values import Array

COPIES = 3
# In a net a single number beside the kink of one ReLU is enough, which only some of the copies move across.
COPIES_OF_NETS = 16
BF16_ROUNDING = 2**-8
MARGIN = 4  # a difference of so many times Caffe's own is not held against us


def nudged(array: Array, salt: int) -> Array:
    """About half of the numbers one last bit further from 0, equal ones alike: what is a tie stays one.

    Whole numbers read as labels or indices are cut to the same.
    """
    bits = np.ascontiguousarray(array).view(np.uint32)
    mixed = (bits ^ np.uint32(salt)) * np.uint32(2654435761)
    moved = np.nextafter(array, np.copysign(np.float32(np.inf), array), dtype=np.float32)
    return np.where((mixed >> np.uint32(31)).astype(bool) & (array != 0), moved, array)


def nudged_as_bf16(array: Array, salt: int) -> Array:
    """About half of the numbers moved by as much as bfloat16 rounds, equal ones alike."""
    moved = nudged(array, salt) != array
    return np.where(moved, array * np.float32(1 + BF16_ROUNDING), array)


def nudged_case(case: Case, salt: int, roughly: bool = False) -> Case:
    nudge = nudged_as_bf16 if roughly else nudged

    def all_of(arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: nudge(array, salt) for name, array in arrays.items()}

    passes: Sequence[Pass] = [
        replace(each, data=all_of(dict(each.data)), diffs=all_of(dict(each.diffs))) for each in case.passes
    ]
    parameters = {key: nudge(array, salt) for key, array in case.parameters.items()}
    return replace(case, passes=passes, parameters=parameters)


def judge_conditions(
    suspects: Sequence[tuple[Comparison, Path]], caffe: ProbedEngine, folder: Path
) -> list[Comparison]:
    """The comparisons again, those of ill-conditioned cases marked; `folder` is for the nudged cases.

    Each comes with the folder of its case, which holds Caffe's answer.
    """
    judged = []
    for number, (comparison, path) in enumerate(suspects):
        copies = _Copies(comparison, path, caffe, folder / f"{number:05d}")
        verdict = _judged(comparison, copies.of(range(COPIES)))
        if not verdict.ill_conditioned and comparison.case.several_layers:
            verdict = _judged(comparison, copies.of(range(COPIES, COPIES_OF_NETS)))
        judged.append(verdict)
    return judged


class _Copies:
    """Caffe's differences from itself over the nudged copies of a case, computed as they are asked for."""

    def __init__(self, comparison: Comparison, answer: Path, caffe: ProbedEngine, folder: Path) -> None:
        self._case, self._tolerances = comparison.case, comparison.tolerances
        self._caffe, self._folder = caffe, folder
        self._answer = read_result(answer, caffe.name)
        self._known: list[Comparison] = []

    def of(self, salts: Sequence[int]) -> list[Comparison]:
        """Those of the copies with these salts, and of all before."""
        batch = self._folder / f"{salts[0]}"
        for salt in salts:
            nudged = nudged_case(self._case, salt + 1, self._tolerances.roughly)
            write_case(nudged, batch / f"{salt:02d}")
        run_probe([self._caffe], batch)
        for salt in salts:
            nudged_answer = read_result(batch / f"{salt:02d}", self._caffe.name)
            self._known.append(compare(self._case, self._answer, nudged_answer, self._tolerances))
        shutil.rmtree(batch)
        return self._known


def _judged(comparison: Comparison, own: Sequence[Comparison]) -> Comparison:
    allowed = comparison.tolerances
    pairs = [
        (comparison.forward.difference, allowed.forward, max(each.forward.difference for each in own)),
        (comparison.gradient.difference, allowed.gradient, max(each.gradient.difference for each in own)),
    ]
    times = [off / theirs if theirs else np.inf for off, tolerance, theirs in pairs if off > tolerance]
    worst = max(times, default=0.0)
    return replace(comparison, ill_conditioned=worst <= MARGIN, times_own=worst)
