"""Drawing, computing and comparing, a batch of cases after the other; the tally of what came of it."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.parity.case import Case, write_case
from batchbrew.parity.compare import Comparison, Worst, compare
from batchbrew.parity.conditioning import judge_conditions
from batchbrew.parity.drawing import draw, draw_cases
from batchbrew.parity.engines import ProbedEngine, run_probe
from batchbrew.parity.results import read_result
from batchbrew.parity.tolerances import tolerances_of

CASES_AT_ONCE = 1500  # written, computed and compared together
BULKY_CASES_AT_ONCE = 12
SECONDS_ROUNDS = 2  # of each batch of a campaign that goes by the clock


@dataclass
class Tally:
    """What came of all cases of one kind.

    `configurations` are those that both engines computed. The worst differences leave out ill-conditioned cases
    (conditioning.py), which are counted apart, with the largest `times_own` among them.
    """

    kind: str
    configurations: int = 0
    refused: int = 0
    ill_conditioned: int = 0
    times_own: float = 0.0
    forward: tuple[Worst, Case | None] = (Worst(), None)
    gradient: tuple[Worst, Case | None] = (Worst(), None)
    broken: list[Comparison] = field(default_factory=list)

    def count(self, comparison: Comparison) -> None:
        """Add the next case."""
        if comparison.refused:
            self.refused += 1
        elif not comparison.faults:
            self.configurations += 1
        if comparison.broken:
            self.broken.append(comparison)
        if comparison.ill_conditioned:
            self.ill_conditioned += 1
            self.times_own = max(self.times_own, comparison.times_own)
            return
        if comparison.forward.difference >= self.forward[0].difference:
            self.forward = comparison.forward, comparison.case
        if comparison.gradient.difference >= self.gradient[0].difference:
            self.gradient = comparison.gradient, comparison.case


@dataclass(frozen=True)
class Campaign:
    """Real Caffe and ours; `keep` is where the folders of broken cases go, `told` hears of each of them at once.

    `progress` hears what is being computed. `leeway` is what tolerances are multiplied by.
    """

    theirs: ProbedEngine
    ours: ProbedEngine
    keep: Path | None = None
    told: Callable[[Comparison], None] = lambda comparison: None
    progress: Callable[[str], None] = lambda what: None
    leeway: float = 1.0

    def rounds(self, kinds: Sequence[str], seed: int, configurations: int) -> dict[str, Tally]:
        """So many configurations of each kind that both engines compute.

        Which ones Caffe refuses is known for certain only afterwards: where some are missing, more are drawn, once.
        """
        tallies = {kind: Tally(kind) for kind in kinds}
        drawn: dict[str, int] = {}
        for kind in kinds:
            drawn[kind] = 0
        self._all(self._drawn(kinds, seed, dict.fromkeys(kinds, configurations), drawn), tallies)
        missing = {
            kind: configurations - tally.configurations - len(tally.broken) for kind, tally in tallies.items()
        }
        short = [kind for kind in kinds if missing[kind] > 0]
        self._all(self._drawn(short, seed, missing, drawn), tallies)
        return tallies

    def one(self, kind: str, seed: int, number: int) -> dict[str, Tally]:
        """One case again; its folder is kept whatever comes of it."""
        tallies = {kind: Tally(kind)}
        self._all([draw(kind, seed, number)], tallies, keep_all=True)
        return tallies

    def for_seconds(
        self, kinds: Sequence[str], seed: int, seconds: float
    ) -> Iterator[tuple[int, dict[str, Tally]]]:
        """Batches with the seeds `seed`, `seed` + 1, ... until the time is over; after each, its seed and the tally."""
        tallies = {kind: Tally(kind) for kind in kinds}
        end = time.monotonic() + seconds
        while True:
            cases = [case for kind in kinds for case in draw_cases(kind, seed, SECONDS_ROUNDS)]
            self._all(cases, tallies)
            yield seed, tallies
            if time.monotonic() > end:
                return
            seed += 1

    def _drawn(
        self, kinds: Sequence[str], seed: int, wanted: dict[str, int], drawn: dict[str, int]
    ) -> Iterator[Case]:
        for kind in kinds:
            for case in draw_cases(kind, seed, wanted[kind], first=drawn[kind]):
                drawn[kind] = case.number + 1
                yield case

    def _all(
        self, cases: Iterator[Case] | Sequence[Case], tallies: dict[str, Tally], *, keep_all: bool = False
    ) -> None:
        for batch in _batches(cases):
            self.progress(f"{batch[0].name} to {batch[-1].name}: {len(batch)} cases in both engines")
            with tempfile.TemporaryDirectory(prefix="batchbrew-parity-") as name:
                for comparison, folder in self._compared(batch, Path(name)):
                    tallies[comparison.case.kind].count(comparison)
                    if comparison.broken:
                        self.told(comparison)
                    if self.keep and (comparison.broken or keep_all):
                        _keep(comparison.case, folder, self.keep)

    def _compared(self, cases: Sequence[Case], folder: Path) -> list[tuple[Comparison, Path]]:
        paths = [folder / "cases" / f"{number:05d}" for number in range(len(cases))]
        for case, path in zip(cases, paths, strict=True):
            write_case(case, path)
        run_probe([self.theirs, self.ours], folder / "cases")
        found = [(self._comparison(case, path), path) for case, path in zip(cases, paths, strict=True)]
        suspects = [pair for pair in found if pair[0].broken and not pair[0].faults]
        judged = judge_conditions(suspects, self.theirs, folder / "nudged")
        again = {id(pair[0]): verdict for pair, verdict in zip(suspects, judged, strict=True)}
        return [(again.get(id(comparison), comparison), path) for comparison, path in found]

    def _comparison(self, case: Case, folder: Path) -> Comparison:
        theirs, ours = (read_result(folder, engine.name) for engine in (self.theirs, self.ours))
        usual = tolerances_of(case, self.ours.precision)
        forward, gradient = self.leeway * usual.forward, self.leeway * usual.gradient
        return compare(case, theirs, ours, replace(usual, forward=forward, gradient=gradient))


def _batches(cases: Iterator[Case] | Sequence[Case]) -> Iterator[list[Case]]:
    batch: list[Case] = []
    bulky = 0
    for case in cases:
        batch.append(case)
        bulky += case.bulky
        if len(batch) == CASES_AT_ONCE or bulky == BULKY_CASES_AT_ONCE:
            yield batch
            batch, bulky = [], 0
    if batch:
        yield batch


def _keep(case: Case, folder: Path, keep: Path) -> None:
    target = keep / f"{case.kind}-{case.number}-seed{case.seed}"
    try:
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(folder, target)
    except OSError as error:
        raise InputError(f"--keep {keep}: cannot be written: {error.strerror or error}") from error
