"""The file of an LMDB, read page by page, of which nothing is trusted.

The library itself maps the file into memory and follows whatever page numbers, offsets and lengths it finds there: one
flipped bit ends the process (SIGSEGV, SIGBUS), and so does a disk that fails. Here each is checked before it is
followed, and what cannot be read is an error. Pages of the tree are copied, so that they stay what was checked; large
values, which are nearly all of the file, are given where they lie in memory. The layout is that of LMDB 0.9 on 64-bit
little-endian machines, data version 1, which every Caffe writes (lmdb.h, mdb.c).
"""

import contextlib
import os
import struct
from pathlib import Path
from typing import NamedTuple

from batchbrew.dataset.mapped_file import MappedFile

# Of each page: its number, padding, flags, and the bounds of its free space or its length in pages.
HEADER_BYTES = 16
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
KINDS = BRANCH | LEAF | OVERFLOW | META
LARGE_VALUE = 1  # flag of a node whose value lies on overflow pages
MAGIC, VERSION = 0xBEEFC0DE, 1
PAGE_BYTES = [2**power for power in range(8, 17)]
NO_PAGE = 2**64 - 1
MOST_LEVELS = 32

_HEADER = struct.Struct("<QHHHH")
_OVERFLOW_PAGES = struct.Struct("<I")  # in the place of the two bounds
_META = struct.Struct("<II QQ IHHQQQQQ IHHQQQQQ QQ")  # behind a header
_NODE = struct.Struct("<HHHH")
_PAGE_NUMBER = struct.Struct("<Q")


class LmdbDamage(Exception):
    """The file is no LMDB, or not what it was when it was written; the text says where."""


class Meta(NamedTuple):
    """What the newest of the two first pages says of the whole: sizes, and where the tree begins."""

    page_bytes: int
    levels: int
    entries: int
    root: int
    last_page: int


class Page(NamedTuple):
    """A page of the tree and where its nodes are."""

    number: int
    content: bytes
    leaf: bool
    nodes: tuple[int, ...]


class LmdbFile:
    """An LMDB's data file, open for reading, from any thread and after forks. Raises LmdbDamage, or OSError."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._map: MappedFile | None = None
        try:
            self.bytes_found = os.fstat(self._handle).st_size
            self.meta = self._newest_meta()
            with contextlib.suppress(OSError, ValueError):  # then values are read into memory of their own
                self._map = MappedFile(self._handle)
        except BaseException:
            self.close()
            raise
        self.bytes_needed = (self.meta.last_page + 1) * self.meta.page_bytes

    def close(self) -> None:
        """Give the file up; a second time does nothing. What was read can still be used."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._map = None

    def page(self, number: int) -> Page:
        """A page of the tree, checked: it has at least one node, and each node begins in it."""
        size = self.meta.page_bytes
        if not 2 <= number <= self.meta.last_page:
            raise LmdbDamage(f"it speaks of page {number}, but has {self.meta.last_page + 1} pages")
        content = self._read(number * size, size)
        found, _, flags, lower, upper = _HEADER.unpack_from(content)
        if (
            found != number
            or flags & KINDS not in (BRANCH, LEAF)
            or not HEADER_BYTES < lower <= upper <= size
        ):
            raise LmdbDamage(f"page {number} is none of the tree")
        nodes = struct.unpack_from(f"<{(lower - HEADER_BYTES) // 2}H", content, HEADER_BYTES)
        if lower % 2 or min(nodes) < upper or max(nodes) + _NODE.size > size:
            raise LmdbDamage(f"page {number} has records beyond its end")
        return Page(number, content, bool(flags & LEAF), nodes)

    def key(self, page: Page, index: int) -> bytes:
        """The key of a node."""
        start = page.nodes[index]
        *_, length = _NODE.unpack_from(page.content, start)
        start += _NODE.size
        if start + length > len(page.content):
            raise LmdbDamage(f"page {page.number} has a key beyond its end")
        return page.content[start : start + length]

    def child(self, page: Page, index: int) -> int:
        """The number of the page below a node of a branch."""
        low, middle, high, _ = _NODE.unpack_from(page.content, page.nodes[index])
        number: int = low | middle << 16 | high << 32
        return number

    def value(self, page: Page, index: int) -> bytes:
        """The value of a node of a leaf."""
        return bytes(self.view(page, index))

    def view(self, page: Page, index: int) -> memoryview:
        """The same without a copy, read-only: a large value where it lies in the mapped file."""
        start, length, first = self._place(page, index)
        if first is None:
            return memoryview(page.content)[start : start + length]
        size = HEADER_BYTES + length
        content = self._large(first, size)
        found, _, flags, *_ = _HEADER.unpack_from(content)
        (held,) = _OVERFLOW_PAGES.unpack_from(content, _HEADER.size - _OVERFLOW_PAGES.size)
        if found != first or flags & KINDS != OVERFLOW or held < self._pages(size):
            raise LmdbDamage(f"page {first} does not begin a value of {length:,} bytes")
        return content[HEADER_BYTES:]

    def _place(self, page: Page, index: int) -> tuple[int, int, int | None]:
        """Where a value begins in the leaf, its length, and its first page if it lies on pages of its own."""
        start = page.nodes[index]
        low, high, flags, key_bytes = _NODE.unpack_from(page.content, start)
        length, start = low | high << 16, start + _NODE.size + key_bytes
        if flags not in (0, LARGE_VALUE):
            raise LmdbDamage(f"page {page.number} has a record of flags {flags}, which no Caffe writes")
        end = start + (length if not flags else _PAGE_NUMBER.size)
        if end > len(page.content):
            raise LmdbDamage(f"page {page.number} has a value beyond its end")
        if not flags:
            return start, length, None
        (first,) = _PAGE_NUMBER.unpack_from(page.content, start)
        last = first + self._pages(HEADER_BYTES + length) - 1
        if not 2 <= first <= last <= self.meta.last_page:
            raise LmdbDamage(
                f"page {page.number} has a record on pages {first} to {last}, but there are {self.meta.last_page + 1}"
            )
        return start, length, first

    def _pages(self, size: int) -> int:
        return -(-size // self.meta.page_bytes)

    def _large(self, first: int, size: int) -> memoryview:
        offset = first * self.meta.page_bytes
        if self._map is None or offset + size > self.bytes_found:
            return memoryview(self._read(offset, size))
        return self._map.piece(offset, size)

    def _newest_meta(self) -> Meta:
        """Of the page with the number 0 and the one with 1 that which was written by the later transaction."""
        first, transaction = self._meta(0)
        second, later = self._meta(first.page_bytes)
        if second.page_bytes != first.page_bytes:
            raise LmdbDamage("its first two pages do not agree on the size of pages")
        newest = second if later > transaction else first
        most = self.bytes_found // _NODE.size
        if (
            newest.levels > MOST_LEVELS
            or newest.entries > most
            or (newest.root == NO_PAGE) != (not newest.entries)
        ):
            raise LmdbDamage(f"it says of itself: {newest.entries:,} records on {newest.levels} levels")
        return newest

    def _meta(self, offset: int) -> tuple[Meta, int]:
        content = self._read(offset, HEADER_BYTES + _META.size)
        flags = _HEADER.unpack_from(content)[2]
        fields = _META.unpack_from(content, HEADER_BYTES)
        magic, version, page_bytes = fields[0], fields[1], fields[4]
        tree_flags, levels, *_, entries, root, last_page, transaction = fields[13:]
        if not flags & META or magic != MAGIC:
            raise LmdbDamage("it does not begin like one")
        if version != VERSION or page_bytes not in PAGE_BYTES or tree_flags:
            raise LmdbDamage(
                f"version {version}, pages of {page_bytes} bytes, flags {tree_flags}: no Caffe writes these"
            )
        return Meta(page_bytes, levels, entries, root, last_page), transaction

    def _read(self, offset: int, length: int) -> bytes:
        content = os.pread(self._handle, length, offset) if offset + length <= self.bytes_found else b""
        if len(content) != length:
            raise LmdbDamage(f"it ends before byte {offset + length:,}")
        return content
