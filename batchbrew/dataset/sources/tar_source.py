"""A source whose images are members of tar archives."""

from array import array
from collections.abc import Iterable, Sequence

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.entry import Entry, EntryTable
from batchbrew.dataset.sources.source import digest_of
from batchbrew.dataset.sources.tar_files import TarFiles
from batchbrew.dataset.sources.tar_index import TarIndex
from batchbrew.errors import InputError


class TarSource:
    """Images in archives that stay packed: each is read from its place."""

    def __init__(
        self,
        files: TarFiles,
        index: TarIndex,
        members: Iterable[tuple[int, int]],
        name: str,
        class_names: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        refused: Sequence[Unreadable] = (),
    ) -> None:
        """`members` are numbers in `index` with their labels, in the order of the entries."""
        self._files = files
        table = EntryTable()
        self._offsets, self._sizes, self._archives = array("Q"), array("I"), array("I")
        for number, label in members:
            table.append(Entry(index.paths[number].path, label))
            self._offsets.append(index.offsets[number])
            self._sizes.append(index.sizes[number])
            self._archives.append(index.archives[number])
        self.entries: Sequence[Entry] = table
        self.name = name
        self.class_names = class_names
        self.notes = notes
        self.refused = refused

    def read(self, index: int) -> bytes:
        """The member of entry `index`. Raises ImageError if the archive cannot be read or has become shorter."""
        from batchbrew.dataset.images import ImageError  # OpenCV is there for who builds, not for lists

        size = self._sizes[index]
        try:
            data = self._files.read(self._archives[index], self._offsets[index], size)
        except InputError as error:
            raise ImageError(f"cannot be read: {error}") from error
        if len(data) < size:
            raise ImageError(f"has {len(data):,} of its {size:,} bytes: the archive has become shorter")
        return data

    def size(self, index: int) -> int:
        """Bytes of that member."""
        return self._sizes[index]

    def digest(self) -> str:
        """As Source.digest; the same as that of the unpacked folders."""
        return digest_of(self)

    def close(self) -> None:
        """Close the archive."""
        self._files.close()
