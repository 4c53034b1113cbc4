"""The records of an LMDB one after another, in the order of their keys' bytes."""

from collections.abc import Iterator

from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile, Page


class LmdbCursor:
    """A place among the records, which are in the order of their keys' bytes; at first before all of them."""

    def __init__(self, file: LmdbFile) -> None:
        self._file = file
        self._path: list[tuple[Page, int]] = []  # from the root to a leaf: the page, and the node of it
        self._passed = 0  # records since the first; more than there are means that pages are in a ring

    def first(self) -> bool:
        """Go to the first record; False if there is none."""
        self._path, self._passed = [], 0
        if self._file.meta.entries:
            self._descend(self._file.meta.root)
        return bool(self._path)

    def next(self) -> bool:
        """Go to the record behind, or from before all of them to the first; False if there is none."""
        return self._forward(1)

    def next_leaf(self) -> bool:
        """Go to the first record of the next leaf, or from before all of them to the first; False if there is none."""
        page, index = self._path[-1] if self._path else (None, 0)
        return self._forward(1 if page is None else len(page.nodes) - index)

    def leaf(self) -> Page:
        """The page here."""
        return self._here()[0]

    def _forward(self, records: int) -> bool:
        """By one, or to behind the last one of a page."""
        if not self._path:
            return self.first()
        while self._path:
            page, index = self._path.pop()
            index += records if page.leaf else 1
            if index < len(page.nodes):
                self._path.append((page, index))
                if not page.leaf:
                    self._descend(self._file.child(page, index))
                self._passed += records
                if self._passed >= self._file.meta.entries:
                    raise LmdbDamage(
                        f"there are more records than the {self._file.meta.entries:,} that it names"
                    )
                return True
        return False

    def key(self) -> bytes:
        """The key here."""
        return self._file.key(*self._here())

    def value(self) -> bytes:
        """The value here."""
        return self._file.value(*self._here())

    def item(self) -> tuple[bytes, bytes]:
        """Both."""
        return self.key(), self.value()

    def keys(self) -> Iterator[bytes]:
        """All keys. The cursor is then at each in turn."""
        found = self.first()
        while found:
            yield self.key()
            found = self.next()

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys with their values."""
        for key in self.keys():
            yield key, self.value()

    def _here(self) -> tuple[Page, int]:
        assert self._path, "at no record"
        return self._path[-1]

    def _descend(self, number: int) -> None:
        """To the first leaf below page `number`."""
        levels = self._file.meta.levels
        while len(self._path) < levels:
            page = self._file.page(number)
            if page.leaf != (len(self._path) == levels - 1):
                raise LmdbDamage(f"page {number} is not on its level")
            self._path.append((page, 0))
            if not page.leaf:
                number = self._file.child(page, 0)
