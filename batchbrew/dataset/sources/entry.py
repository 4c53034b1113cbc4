"""What a data set consists of: images, each with a label."""

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

MAX_LABEL = 2**31 - 1  # Datum.label is an int32


class Entry(NamedTuple):
    """An image: its path (relative to the data set's root, or absolute) and its label, 0 to 2³¹-1."""

    path: str
    label: int


class EntryTable(Sequence[Entry]):
    """Entries in a fifth of the memory of a list of them: 12 bytes and the path's for each.

    A million entries in a list take 160 MB. Paths are kept as the system's bytes, so that names that are
    not UTF-8 come back as they were.
    """

    def __init__(self) -> None:
        self._paths = bytearray()
        self._ends = array("Q")
        self._labels = array("i")

    def append(self, entry: Entry) -> None:
        """Add an entry behind the last one."""
        self._labels.append(entry.label)  # first: it is the one that may be refused
        self._paths += entry.path.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._paths))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if index < 0:
            raise IndexError(index)
        end = self._ends[index]
        start = self._ends[index - 1] if index else 0
        return Entry(self._paths[start:end].decode("utf-8", "surrogateescape"), self._labels[index])

    def __iter__(self) -> Iterator[Entry]:
        return (self[number] for number in range(len(self)))
