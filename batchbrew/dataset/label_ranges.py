"""Labels as they are named on a command line: 1,5-9."""

import re
from collections.abc import Iterable, Iterator, Sequence

from batchbrew.dataset.sources import MAX_LABEL
from batchbrew.errors import InputError

RANGE = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")


class LabelRanges:
    """Which labels a text names: numbers and ranges, both ends counted, with commas between them.

    Raises InputError for a text that cannot be read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._ranges: list[tuple[int, int]] = []  # in order, none touching another
        for first, last in sorted(self._parse(part.strip()) for part in text.split(",")):
            if self._ranges and first <= self._ranges[-1][1] + 1:
                self._ranges[-1] = (self._ranges[-1][0], max(last, self._ranges[-1][1]))
            else:
                self._ranges.append((first, last))

    def __contains__(self, label: int) -> bool:
        return any(first <= label <= last for first, last in self._ranges)

    def place(self, label: int) -> int:
        """How many labels below `label`, which is one of them, are named, too."""
        below = 0
        for first, last in self._ranges:
            if first <= label <= last:
                return below + label - first
            below += last - first + 1
        raise AssertionError(label)

    def below(self, end: int) -> Iterator[int]:
        """Those that are smaller, in order."""
        for first, last in self._ranges:
            yield from range(first, min(last + 1, end))

    def without_any(self, labels: Iterable[int]) -> list[str]:
        """The ranges, as text, in which none of `labels` is."""
        known = sorted(labels)
        return [
            str(first) if first == last else f"{first}-{last}"
            for first, last in self._ranges
            if not any(first <= label <= last for label in known)
        ]

    def _parse(self, part: str) -> tuple[int, int]:
        found = RANGE.fullmatch(part)
        first = int(found[1]) if found else -1
        last = int(found[2] or found[1]) if found else -1
        if not 0 <= first <= last <= MAX_LABEL:
            raise InputError(f"labels {self.text!r} cannot be read at {part!r}: write them as in 1,5-9")
        return first, last


def in_ranges(labels: Sequence[int]) -> str:
    """Sorted labels as such a text."""
    parts: list[list[int]] = []
    for label in labels:
        if parts and label == parts[-1][1] + 1:
            parts[-1][1] = label
        else:
            parts.append([label, label])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
