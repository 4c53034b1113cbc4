"""Images that all lie in one folder, or on top of an archive, with a file that says their labels."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.entry import Entry
from batchbrew.dataset.sources.files import FilesSource
from batchbrew.dataset.sources.folder import known_extensions, notes_of, scan_flat
from batchbrew.dataset.sources.lists import parse_label, read_list
from batchbrew.dataset.sources.source import NO_LABEL
from batchbrew.dataset.sources.tar_files import TarFiles
from batchbrew.dataset.sources.tar_index import Progress, index_archives
from batchbrew.dataset.sources.tar_source import TarSource
from batchbrew.errors import InputError

Opened = FilesSource | TarSource


class FlatImages(Protocol):
    """Images that have names and no labels yet."""

    names: Sequence[str]

    def labelled(
        self,
        entries: Iterable[Entry],
        labels_from: object,
        class_names: Sequence[str] | None = None,
        refused: Sequence[Unreadable] = (),
    ) -> Opened:
        """A source of the images that `entries` name, in that order; the others are refused.

        `labels_from` is the file that says the labels, for the source's name.
        """

    def close(self) -> None:
        """Close what is open, where no source is made of it."""


def open_flat(
    path: Path,
    labels_file: Path,
    class_names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Opened:
    """The images of a folder, or of a tar archive, with labels from a file.

    The file is a list in Caffe's format, whose names start from that folder, or has a label alone on each
    line: of the images in the order of their names, and then exactly one for each. Raises InputError.
    """
    images = flat_images(path, progress)
    try:
        return images.labelled(_read_labels(labels_file, images.names, path), labels_file, class_names)
    except BaseException:
        images.close()
        raise


def flat_images(path: Path, progress: Progress | None = None) -> FlatImages:
    """The images of a folder or a tar archive. Raises InputError if there is none."""
    return _FolderImages(path) if path.is_dir() else _ArchiveImages(path, progress)


def bare_labels(labels_file: Path) -> list[int] | None:
    """The labels of a file that has one alone on each line; None if it has anything else on its first."""
    try:
        with labels_file.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError as error:
        raise InputError(f"{labels_file} cannot be read: {error.strerror or error}") from error
    while lines and not lines[-1]:
        lines.pop()
    if not lines or len(lines[0].split()) != 1:
        return None
    return [parse_label(text, f"{labels_file}, line {number}") for number, text in enumerate(lines, start=1)]


def _read_labels(labels_file: Path, names: Sequence[str], path: Path) -> list[Entry]:
    labels = bare_labels(labels_file)
    if labels is None:
        return read_list(labels_file, path)
    if len(labels) != len(names):
        raise InputError(
            f"{labels_file} has {len(labels):,} labels, but {path} has {len(names):,} images: "
            "give a label for each, or a list of names and labels"
        )
    return [Entry(name, label) for name, label in zip(names, labels, strict=True)]


class _FolderImages:
    def __init__(self, path: Path) -> None:
        self._path = path
        names, self._ignored = scan_flat(path)
        if not names:
            raise InputError(f"{path} has no image itself (folders in it do not count): {known_extensions()}")
        self.names: Sequence[str] = names

    def labelled(
        self,
        entries: Iterable[Entry],
        labels_from: object,
        class_names: Sequence[str] | None = None,
        refused: Sequence[Unreadable] = (),
    ) -> Opened:
        found = list(entries)
        named = {_plain(entry.path) for entry in found}.union(bad.path for bad in refused)
        all_refused = [*refused, *_without_label(self.names, named)]
        notes = notes_of(self._ignored)
        name = f"folder {self._path}, labels of {labels_from}"
        return FilesSource(found, self._path, class_names, name, notes, all_refused)

    def close(self) -> None:
        pass


class _ArchiveImages:
    """Names are those on top of the archive or, where all images lie in one folder of it, in that folder."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        self._path = path
        self._files = TarFiles([path])
        try:
            self._index = index_archives(self._files, class_each=False, progress=progress)
            if not self._index.paths:
                raise InputError(f"{path} has no image: {known_extensions()}")
        except BaseException:
            self.close()
            raise
        folders = {entry.path.rpartition("/")[0] for entry in self._index.paths}
        skipped = len(folders.pop()) if len(folders) == 1 else 0
        self._numbers: dict[str, int] = {}
        for number, (member, _) in enumerate(self._index.paths):
            self._numbers.setdefault(member[skipped:].lstrip("/"), number)
        self.names: Sequence[str] = sorted(self._numbers)

    def labelled(
        self,
        entries: Iterable[Entry],
        labels_from: object,
        class_names: Sequence[str] | None = None,
        refused: Sequence[Unreadable] = (),
    ) -> Opened:
        index = self._index
        all_refused = [*index.refused, *refused]
        known = {bad.path for bad in all_refused}
        members, named = [], {bad.path for bad in refused}
        for path, label in entries:
            name = _plain(path)
            number = self._numbers.get(name)
            named.add(name)
            if number is not None:
                members.append((number, label))
            elif name not in known:
                all_refused.append(Unreadable(path, label, "is not in the archive"))
        if not members:
            raise InputError(
                f"{self._path} has none of the images that were listed: it has {self.names[0]!r}, for one"
            )
        all_refused += _without_label(self.names, named)
        notes = [*index.notes, *notes_of(index.ignored)]
        name = f"archive {self._path}, labels of {labels_from}"
        return TarSource(self._files, index, members, name, class_names, notes, all_refused)

    def close(self) -> None:
        self._files.close()


def _plain(path: str) -> str:
    return path.removeprefix("./")


def _without_label(names: Sequence[str], named: set[str]) -> list[Unreadable]:
    return [Unreadable(name, NO_LABEL, "has no label") for name in names if name not in named]
