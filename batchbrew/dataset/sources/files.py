"""A source whose images are files on disk."""

import stat
from collections.abc import Sequence
from pathlib import Path

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.entry import Entry
from batchbrew.dataset.sources.source import digest_of


class FilesSource:
    """Image files below a folder; their paths are relative to `root`, or absolute."""

    def __init__(
        self,
        entries: Sequence[Entry],
        root: Path,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        notes: Sequence[str] = (),
        refused: Sequence[Unreadable] = (),
    ) -> None:
        self.entries = entries
        self.root = root
        self.class_names = class_names
        self.name = name or f"files below {root}"
        self.notes = notes
        self.refused = refused

    def read(self, index: int) -> bytes:
        """The file of entry `index`. Raises ImageError if it cannot be read, is no file, or is too large."""
        from batchbrew.dataset.images import read_image_bytes  # OpenCV is there for who builds, not for lists

        return read_image_bytes(self.root / self.entries[index].path)

    def size(self, index: int) -> int | None:
        """Bytes of that file; None if it is not there or is no file."""
        try:
            status = (self.root / self.entries[index].path).stat()
        except (OSError, ValueError):  # a zero byte in the name is a ValueError
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def digest(self) -> str:
        """As Source.digest; asks the system for every file's size."""
        return digest_of(self)

    def close(self) -> None:
        """Nothing stays open between reads."""
