"""What is counted while pictures are made: of a batch for the journal, of all for dataset.json."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from batchbrew.dataset.making import Made
from batchbrew.dataset.pixel_sums import PixelSums

NAMED = 1000  # of a kind of odd pictures, so many are named; all are counted

Size = tuple[int, int]
"""Height and width."""


class Tally:
    """Counts of pictures, by their index in the source where they are named.

    All are whole numbers, so that sums do not depend on where a batch ends or a build was interrupted.
    """

    def __init__(self) -> None:
        self.quarantined: list[tuple[int, str]] = []
        """Index and reason."""
        self.kinds: Counter[str] = Counter()
        self.odd: Counter[str] = Counter()
        self.odd_named: dict[str, list[int]] = {}
        """The first of each kind."""
        self.source_sizes: Counter[Size] = Counter()
        self.stored_sizes: Counter[Size] = Counter()
        self.passed_through = 0
        self.pixel_sums = PixelSums()
        """Of the stored pixels."""

    def add(self, index: int, made: Made) -> None:
        """Count a picture that was made."""
        self.kinds[made.kind] += 1
        for kind in made.odd:
            self._add_odd(kind, 1, (index,))
        self.source_sizes[made.source_size] += 1
        self.stored_sizes[made.size] += 1
        self.passed_through += made.passed_through
        height, width = made.size
        sums = PixelSums(height * width, list(map(round, made.sums)), list(map(round, made.squares)))
        self.pixel_sums = self.pixel_sums.plus(sums)

    def merge(self, later: "Tally") -> None:
        """Count what another has counted after this one."""
        self.quarantined += later.quarantined
        self.kinds.update(later.kinds)
        for kind, count in later.odd.items():
            self._add_odd(kind, count, later.odd_named[kind])
        self.source_sizes.update(later.source_sizes)
        self.stored_sizes.update(later.stored_sizes)
        self.passed_through += later.passed_through
        self.pixel_sums = self.pixel_sums.plus(later.pixel_sums)

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it."""
        return {
            "quarantined": self.quarantined,
            "kinds": self.kinds,
            "odd": {kind: [count, self.odd_named[kind]] for kind, count in self.odd.items()},
            "source_sizes": [[*size, count] for size, count in self.source_sizes.items()],
            "stored_sizes": [[*size, count] for size, count in self.stored_sizes.items()],
            "passed_through": self.passed_through,
            **self.pixel_sums.to_json(),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Tally":
        """Raises KeyError, TypeError or ValueError for what `to_json` did not write."""
        tally = cls()
        tally.quarantined = [(int(index), str(reason)) for index, reason in fields["quarantined"]]
        tally.kinds.update(fields["kinds"])
        for kind, (count, named) in fields["odd"].items():
            tally._add_odd(kind, count, named)
        for sizes, listed in (
            (tally.source_sizes, fields["source_sizes"]),
            (tally.stored_sizes, fields["stored_sizes"]),
        ):
            sizes.update({(height, width): count for height, width, count in listed})
        tally.passed_through = int(fields["passed_through"])
        tally.pixel_sums = PixelSums.from_json(fields)
        return tally

    def _add_odd(self, kind: str, count: int, indices: Iterable[int]) -> None:
        self.odd[kind] += count
        named = self.odd_named.setdefault(kind, [])
        named += list(indices)[: NAMED - len(named)]
