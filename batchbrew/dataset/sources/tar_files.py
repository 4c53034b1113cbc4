"""Tar archives that lie on disk, read at any place from any thread."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchbrew.errors import InputError

COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
}


class TarFiles:
    """One archive, which stays open, or many, each opened when it is read: a process may hold some 1,000 files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self._handle = open_archive_file(paths[0]) if len(paths) == 1 else None

    @contextlib.contextmanager
    def opened(self, number: int) -> Iterator[int]:
        """The handle of archive `number`. Raises InputError if it cannot be opened."""
        if self._handle is not None:
            yield self._handle
            return
        handle = open_archive_file(self.paths[number])
        try:
            yield handle
        finally:
            os.close(handle)

    def read(self, number: int, offset: int, size: int) -> bytes:
        """`size` bytes of archive `number`, fewer where it ends. Raises InputError if it cannot be read."""
        parts = []
        with self.opened(number) as handle:
            while size:
                try:
                    part = os.pread(handle, size, offset)
                except OSError as error:
                    raise InputError(
                        f"{self.paths[number]} cannot be read: {error.strerror or error}"
                    ) from error
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close what is open; nothing may be read afterwards."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            self.paths = ()


def open_archive_file(path: Path) -> int:
    """A handle to read from. Raises InputError if the file cannot be opened or is compressed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe would wait for ever
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"{path} is not a file: a tar archive is expected")
        _refuse_compressed(path, os.pread(handle, 8, 0))
    except OSError as error:
        os.close(handle)
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except InputError:
        os.close(handle)
        raise
    return handle


def _refuse_compressed(path: Path, start: bytes) -> None:
    for magic, (kind, program) in COMPRESSED.items():
        if start.startswith(magic):
            raise InputError(
                f"{path} is compressed with {kind}, and images are read at any place of it: {program} it first"
            )
    if start.startswith(b"PK\x03\x04"):
        raise InputError(f"{path} is a zip archive: unzip it and name the folder")
