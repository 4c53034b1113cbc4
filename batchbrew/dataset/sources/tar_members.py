"""The members of a tar archive, in order, with where their bytes lie; nothing is unpacked.

Python's tarfile parses a header; walking from one to the next is done here, since tarfile ends in silence
at a damaged header and believes every size. Known are ustar, GNU's long names and pax.
"""

import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from batchbrew.errors import InputError

BLOCK = tarfile.BLOCKSIZE
ZEROS = bytes(BLOCK)
MAX_NAME_BYTES = 4096  # Linux's own limit of a path
MAX_PAX_BYTES = 2**20  # of a member's extended header; its path and its times take a hundred bytes
MAX_EXTRA_HEADERS = 64  # before a member
SEARCHED_BEHIND_END = 2**20  # bytes; an archive is filled up with zeros to a multiple of 10,240

SOLARIS_PAX = b"X"
WITHOUT_DATA = {
    tarfile.SYMTYPE: "is a symbolic link",
    tarfile.LNKTYPE: "is a hard link",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.FIFOTYPE: "is a named pipe",
}
EXTENDED_FLAG, EXTENDED_FLAG_AGAIN = 482, 504  # in old GNU sparse headers: whether another block follows


class Member(NamedTuple):
    """A file or folder in an archive."""

    name: str
    """As it is written there: not to be trusted. Bytes that are not UTF-8 are escaped as in file names."""
    size: int
    offset: int
    """Of its first byte, in the file that holds the archive."""
    is_folder: bool
    problem: str | None
    """Why it is of no use, as in "is a symbolic link"."""


class TarReader:
    """Iterates over the members of the archive that fills the bytes `start` to `end` of an open file.

    Raises InputError, which `name` begins, where the archive is damaged or cut off. What is odd and does not
    matter is in `notes` afterwards.
    """

    def __init__(self, handle: int, start: int, end: int, name: str) -> None:
        self._handle = handle
        self._start = self._position = start
        self._end = end
        self._name = name
        self._global: dict[bytes, bytes] = {}
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Member]:
        while (member := self._next()) is not None:
            yield member

    def _next(self) -> Member | None:
        """The next member, with the headers before its own that say more of it."""
        records = dict(self._global)
        name: str | None = None
        problem: str | None = None
        for _ in range(MAX_EXTRA_HEADERS):
            found = self._header()
            if found is None:
                return None
            header, block = found
            if header.type == tarfile.GNUTYPE_LONGNAME and header.size > MAX_NAME_BYTES + 1:
                problem = f"has a name of {header.size:,} bytes"
                self._skip(header)
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                name = _text(self._content(header).partition(b"\0")[0])
            elif header.type == tarfile.GNUTYPE_LONGLINK:
                self._skip(header)
            elif header.type in (tarfile.XHDTYPE, SOLARIS_PAX):
                records |= self._pax_records(header)
            elif header.type == tarfile.XGLTYPE:
                self._global |= self._pax_records(header)
                records = self._global | records
            else:
                return self._member(header, block, name, problem, records)
        raise self._damaged(f"has more than {MAX_EXTRA_HEADERS} headers for one member")

    def _member(
        self,
        header: tarfile.TarInfo,
        block: bytes,
        name: str | None,
        problem: str | None,
        records: dict[bytes, bytes],
    ) -> Member:
        header.name = _text(records[b"path"]) if b"path" in records else name or header.name
        if b"GNU.sparse.name" in records:  # the other is a temporary one
            header.name = _text(records[b"GNU.sparse.name"])
        header.size = self._pax_size(records) if b"size" in records else header.size
        sparse = header.type == tarfile.GNUTYPE_SPARSE or any(
            key.startswith(b"GNU.sparse.") for key in records
        )
        if header.type == tarfile.GNUTYPE_SPARSE:
            self._skip_sparse_map(block)
        if header.isdir():
            return Member(header.name, 0, self._position, True, problem)
        if header.type in WITHOUT_DATA:
            return Member(header.name, 0, self._position, False, WITHOUT_DATA[header.type])
        if not header.isreg():
            problem = f"is of the unknown kind {header.type!r}"
        elif sparse:
            problem = "is a sparse file"
        member = Member(header.name, header.size, self._position, False, problem)
        self._skip(header)
        return member

    def _header(self) -> tuple[tarfile.TarInfo, bytes] | None:
        """The next header and its block; None at the archive's end."""
        block = self._read(BLOCK)
        if not block:
            if self._position == self._start:
                raise InputError(f"{self._name} is empty: a tar archive is expected")
            self.notes.append(f"{self._name} has no mark of its end: is it complete?")
            return None
        if block == ZEROS:
            self._look_behind_end()
            return None
        if len(block) < BLOCK:
            raise self._damaged("is cut off within a member's header")
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            if self._position == self._start:
                raise InputError(f"{self._name} is not a tar archive ({error})") from error
            raise self._damaged(f"is damaged: {error}") from error
        if header.size < 0:
            raise self._damaged(f"is damaged: {header.name!r} has {header.size} bytes")
        self._position += BLOCK
        return header, block

    def _skip(self, header: tarfile.TarInfo) -> None:
        """Go behind a member's content, if the archive has it whole."""
        left = self._end - self._position
        if header.size > left:
            raise self._damaged(
                f"is cut off: {header.name!r} has {header.size:,} bytes, and {left:,} are there"
            )
        # The last member need not be filled up to a whole block.
        self._position = min(self._position + -(-header.size // BLOCK) * BLOCK, self._end)

    def _content(self, header: tarfile.TarInfo) -> bytes:
        """What a header that says more of a member holds."""
        start = self._position
        self._skip(header)
        return self._read_at(start, header.size)

    def _pax_records(self, header: tarfile.TarInfo) -> dict[bytes, bytes]:
        if header.size > MAX_PAX_BYTES:
            raise self._damaged(
                f"has a pax header of {header.size:,} bytes; at most {MAX_PAX_BYTES:,} are read"
            )
        records = parse_pax(self._content(header))
        if records is None:
            raise self._damaged("has a pax header that is damaged")
        return records

    def _pax_size(self, records: dict[bytes, bytes]) -> int:
        text = records[b"size"]
        if not text.isdigit() or len(text) > 20:
            raise self._damaged(f"has a pax header that is damaged: a size of {text[:30]!r}")
        return int(text)

    def _skip_sparse_map(self, block: bytes) -> None:
        flag = EXTENDED_FLAG
        while block[flag]:
            block, flag = self._read(BLOCK), EXTENDED_FLAG_AGAIN
            if len(block) < BLOCK:
                raise self._damaged("is cut off within a member's header")
            self._position += BLOCK

    def _look_behind_end(self) -> None:
        """Archives written after one another end, for most programs, with the first: images would be lost."""
        position = self._position + BLOCK
        rest = self._read_at(position, min(SEARCHED_BEHIND_END, self._end - position))
        stripped = rest.lstrip(b"\0")
        if not stripped:
            return
        first = (len(rest) - len(stripped)) // BLOCK * BLOCK
        try:
            tarfile.TarInfo.frombuf(rest[first : first + BLOCK], "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError):
            self.notes.append(f"{self._name} goes on behind the mark of its end; that was not read")
            return
        where = position + first - self._start
        raise InputError(
            f"{self._name} goes on behind the mark of its end (at byte {where:,}) with another archive: separate them"
        )

    def _read(self, size: int) -> bytes:
        return self._read_at(self._position, min(size, self._end - self._position))

    def _read_at(self, position: int, size: int) -> bytes:
        try:
            return os.pread(self._handle, size, position) if size > 0 else b""
        except OSError as error:
            raise InputError(f"{self._name} cannot be read: {error.strerror or error}") from error

    def _damaged(self, what: str) -> InputError:
        where = self._position - self._start
        return InputError(f"{self._name} {what} (at byte {where:,}): copy or download it anew")


def parse_pax(content: bytes) -> dict[bytes, bytes] | None:
    """The records of a pax header, None if it is damaged.

    Each is "length key=value" and a line's end; the length, in decimal digits, is that of all of it.
    """
    records = {}
    position = 0
    while position < len(content) and content[position]:
        blank = content.find(b" ", position, position + len(str(MAX_PAX_BYTES)) + 1)
        digits = content[position:blank]
        if blank < 0 or not digits.isdigit():
            return None
        end = position + int(digits)
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if not equals or content[end - 1 : end] != b"\n":
            return None
        records[key] = value
        position = end
    return records


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
