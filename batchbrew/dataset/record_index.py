"""Records of an LMDB by their number, in the order of the keys.

An LMDB finds a record by its key alone. Here it is remembered on which leaf of the tree each number is, a few bytes for
some eighty records; leaves are visited when somebody asks for a record on them or behind, so that reading from
the first on costs nothing in advance.
"""

import os
import threading
from bisect import bisect_right
from functools import lru_cache

from batchbrew.dataset.lmdb_cursor import LmdbCursor
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile

RECENT_LEAVES = 64  # kept parsed: a thread that reads on has one


class RecordIndex:
    """The records of `file` by number, from any thread, also after a fork."""

    def __init__(self, file: LmdbFile) -> None:
        self._file = file
        self._page = lru_cache(RECENT_LEAVES)(file.page)
        self._walk = _Walk(file)

    def item(self, number: int) -> tuple[bytes, bytes]:
        """Key and value of record `number`, from 0. Raises LmdbDamage, or OSError."""
        leaf, place = self._find(number)
        page = self._page(leaf)
        return self._file.key(page, place), self._file.value(page, place)

    def value(self, number: int) -> bytes:
        """The value alone."""
        return bytes(self.view(number))

    def view(self, number: int) -> memoryview:
        """The same without a copy, read-only."""
        leaf, place = self._find(number)
        return self._file.view(self._page(leaf), place)

    def _find(self, number: int) -> tuple[int, int]:
        if self._walk.process != os.getpid():
            self._walk = _Walk(self._file)  # a thread of the parent may have been in the midst of it
        try:
            return self._walk.find(number)
        except (LmdbDamage, OSError):
            self._walk = _Walk(self._file)  # it stopped half-way from one leaf to the next
            raise


class _Walk:
    """From leaf to leaf, as far as was asked."""

    def __init__(self, file: LmdbFile) -> None:
        self.process = os.getpid()
        self._cursor = LmdbCursor(file)
        self._lock = threading.Lock()
        self._leaves: list[int] = []
        self._firsts = [0]  # the number of each leaf's first record, and of the one behind the last leaf

    def find(self, number: int) -> tuple[int, int]:
        """The leaf of a record, and its place there."""
        if number >= self._firsts[-1]:
            with self._lock:
                while number >= self._firsts[-1]:
                    self._visit_next()
        at = bisect_right(self._firsts, number) - 1
        return self._leaves[at], number - self._firsts[at]

    def _visit_next(self) -> None:
        if not self._cursor.next_leaf():
            raise LmdbDamage(f"its record {self._firsts[-1]} is not there")
        page = self._cursor.leaf()
        self._leaves.append(page.number)
        self._firsts.append(
            self._firsts[-1] + len(page.nodes)
        )  # last: other threads look at it without the lock
