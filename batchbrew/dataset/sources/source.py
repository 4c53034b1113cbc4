"""What a data set is built from, whatever its form: files, archives."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.entry import Entry

NO_LABEL = -1  # of what is refused and is in no class
NO_SIZE = -1  # in digests, of a file that is not there


class Source(Protocol):
    """Images with labels, and the bytes of each by its number."""

    @property
    def name(self) -> str:
        """For messages and provenance: "folder photos/train"."""

    @property
    def entries(self) -> Sequence[Entry]:
        """In the source's own order."""

    @property
    def class_names(self) -> Sequence[str] | None:
        """Label → name, where names are known."""

    @property
    def notes(self) -> Sequence[str]:
        """Lines to show to the user: what was ignored, classes without images."""

    @property
    def refused(self) -> Sequence[Unreadable]:
        """What cannot even be an entry (a link in an archive, say), and why; in no class: label -1."""

    def read(self, index: int) -> bytes:
        """The file of entry `index`, from any thread. Raises ImageError with the reason why it cannot be read."""

    def size(self, index: int) -> int | None:
        """Bytes of that file; None if it is not there."""

    def digest(self) -> str:
        """SHA-256, hex, over path, label and size of every entry in order: equal for what is the same source."""

    def close(self) -> None:
        """Let go of open files."""


def digest_of(source: Source) -> str:
    """The `digest` of any source: of a line "label size path" for each entry, ended by a zero byte."""
    digest = hashlib.sha256()
    for index, (path, label) in enumerate(source.entries):
        size = source.size(index)
        digest.update(b"%d %d " % (label, NO_SIZE if size is None else size))
        digest.update(path.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()
