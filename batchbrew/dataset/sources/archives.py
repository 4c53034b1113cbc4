"""A tar archive with a folder, or an archive, for each class."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.folder import (
    database_notes,
    in_database,
    known_extensions,
    notes_of,
    outside_classes,
)
from batchbrew.dataset.sources.source import NO_LABEL
from batchbrew.dataset.sources.tar_files import TarFiles
from batchbrew.dataset.sources.tar_index import Progress, TarIndex, index_archives
from batchbrew.dataset.sources.tar_source import TarSource
from batchbrew.errors import InputError


def open_archive(path: Path, progress: Progress | None = None) -> TarSource:
    """The images of a tar archive with a folder for each class, or a tar archive for each, as in a folder.

    Names, labels and order are those that `open_folder` gives for the unpacked archive, and so is the digest.
    Where all lies in one folder with the classes in it, that folder is passed over. Raises InputError if the
    archive is compressed, damaged, cut off or without an image in a class.
    """
    return _open([path], f"archive {path}", False, progress)


def open_class_archives(paths: Sequence[Path], name: str, progress: Progress | None = None) -> TarSource:
    """The images of tar archives that are a class each, of the name that the file has. Raises likewise."""
    return _open(paths, name, True, progress)


def _open(paths: Sequence[Path], name: str, class_each: bool, progress: Progress | None) -> TarSource:
    files = TarFiles(paths)
    try:
        index = index_archives(files, class_each, progress)
        classes = _Classes(index, name)
        notes = [*index.notes, *notes_of(index.ignored, classes.names, classes.empty())]
        notes += database_notes(classes.databases)
        refused = [bad._replace(label=classes.label_of(bad.path)) for bad in index.refused]
        refused += classes.refused
        return TarSource(files, index, classes.members(), name, classes.names, notes, refused)
    except BaseException:
        files.close()
        raise


class _Classes:
    """Which images of an index are in which class: the class is the part number `depth` of a path."""

    def __init__(self, index: TarIndex, name: str) -> None:
        self._index = index
        self._depth = _depth(index)
        databases = {folder.split("/")[-1] for folder in index.databases if folder.count("/") == self._depth}
        folders: dict[str, array[int]] = {}
        self.refused: list[Unreadable] = []
        for number, (path, _) in enumerate(index.paths):
            parts = path.split("/", self._depth + 1)
            if number in index.repeated:
                continue
            if len(parts) < self._depth + 2:
                self.refused.append(outside_classes(path))
            elif parts[self._depth] in databases:
                self.refused.append(in_database(path, parts[self._depth]))
            else:
                folders.setdefault(parts[self._depth], array("I")).append(number)
        if not folders:
            raise InputError(
                f"{name} has no image in a folder: one folder, or tar archive, for each class is expected; "
                + known_extensions()
            )
        self._folders = folders
        nested = (folder.split("/") for folder in index.folders)
        known = {parts[self._depth] for parts in nested if len(parts) == self._depth + 1}
        self.names = sorted(known.union(folders) - databases)
        self.databases = sorted(databases)
        self._labels = {name: label for label, name in enumerate(self.names)}

    def empty(self) -> list[str]:
        return [name for name in self.names if name not in self._folders]

    def label_of(self, path: str) -> int:
        """Of something refused: -1 if it is in no class."""
        parts = path.split("/", self._depth + 1)
        return self._labels.get(parts[self._depth], NO_LABEL) if len(parts) > self._depth + 1 else NO_LABEL

    def members(self) -> Iterator[tuple[int, int]]:
        """Number and label of each image, sorted as `open_folder` would: by the parts of the path."""
        paths = self._index.paths
        for label, name in enumerate(self.names):
            numbers = self._folders.get(name, ())
            for number in sorted(numbers, key=lambda number: paths[number].path.split("/")):
                yield number, label


def _depth(index: TarIndex) -> int:
    """Zero where the classes lie on top; one where all lies in one folder that has folders itself."""
    tops = {path.partition("/")[0] for path, _ in index.paths}
    return 1 if len(tops) == 1 and all(path.count("/") > 1 for path, _ in index.paths) else 0
