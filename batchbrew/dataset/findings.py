"""What `lmdb verify` found, as it is gathered."""

from collections import Counter
from dataclasses import dataclass, field

from batchbrew.dataset.duplicates import Repeats
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.reader import shown_key
from batchbrew.errors import InputError

NAMED_PROBLEMS = 20

Size = tuple[int, int, int]
"""Height, width and channels."""


@dataclass
class Verification:
    """What `lmdb verify` found."""

    records: int = 0
    described: bool = True
    """Whether there was a dataset.json to compare with, for each LMDB of a set."""
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)
    """The first ones, a line each."""
    broken: bool = False
    """Whether a data set could not be read to its end."""
    warnings: list[str] = field(default_factory=list)
    """What a data set should not have, and can be trained with, a line each."""
    label_counts: dict[int, int] = field(default_factory=dict)
    class_names: list[str] | None = None
    sizes: Counter[Size] = field(default_factory=Counter)
    repeats: Repeats | None = None
    leaks: dict[str, Repeats] = field(default_factory=dict)
    """Data set that was compared with → the pictures of it that are here too."""

    def add_problem(self, problem: str, count: int = 1) -> None:
        """A line that stands for so many."""
        self.problem_count += count
        if len(self.problems) < NAMED_PROBLEMS:
            self.problems.append(problem)

    def add_end(self, name: str, error: InputError, last: bytes | None, missing: int) -> None:
        """Reading has ended early with `error`, behind the record `last`: always named, whatever came before."""
        where = "before the first record" if last is None else f"behind record {shown_key(last)}"
        self.broken = True
        self.problem_count += 1
        records = f"{counted(missing, 'record')} {'is' if missing == 1 else 'are'}"
        self.problems.append(f"{name}{where} it cannot be read further, {records} not checked: {error}")
