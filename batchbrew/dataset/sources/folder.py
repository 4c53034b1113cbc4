"""A folder with a subfolder for each class."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.entry import Entry, EntryTable
from batchbrew.dataset.sources.files import FilesSource
from batchbrew.dataset.sources.source import NO_LABEL
from batchbrew.errors import InputError

IMAGE_EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp", ".gif")
)
NAMED_CLASSES = 10  # in a note
_OF_DATABASE = re.compile(
    r"[^/]+/(shard-\d+-of-\d+/)?data\.mdb|([^/]+|[^/]+/shard-\d+-of-\d+)\.partial/(lock|plan\.json)"
)


@dataclass(frozen=True)
class FolderScan:
    """What a folder per class holds, and what of it is not used."""

    entries: list[Entry] | EntryTable
    class_names: list[str]
    """Sorted by code point; a class's label is its place here."""
    ignored: dict[str, int]
    """Files that are not images by their name: extension (lower case, "" for none) → how many."""
    empty_classes: list[str]
    """Classes without an image; they keep their label."""
    databases: list[str]
    """Folders that are LMDBs, or builds of them: no classes."""
    refused: list[Unreadable]
    """Images that are in no class."""


def open_folder(root: Path) -> FilesSource:
    """The images of a folder with a subfolder for each class. Raises InputError as `scan_folder`."""
    entries = EntryTable()
    scan = _scan(root, entries)
    notes = [*notes_of(scan.ignored, scan.class_names, scan.empty_classes), *database_notes(scan.databases)]
    return FilesSource(entries, root, scan.class_names, f"folder {root}", notes, scan.refused)


def scan_folder(root: Path) -> FolderScan:
    """The images of a folder with a subfolder for each class; folders in a class belong to that class.

    Hidden files and folders (a dot in front) are not looked into; the files among them count as ignored.
    LMDBs, sets of them and unfinished builds are no classes: they would shift the labels.
    Links are followed, but no folder is entered twice on one way down. Raises InputError if `root` cannot
    be read, or has no subfolder, or no image in any.
    """
    return _scan(root, [])


def _scan(root: Path, entries: list[Entry] | EntryTable) -> FolderScan:
    """Adds to `entries`."""
    children = _children(root)
    folders = [child.name for child in children if child.is_dir() and not child.name.startswith(".")]
    if not folders:
        raise InputError(
            f"{root} has no subfolders: one folder for each class is expected, with its images in it"
        )
    loose = [child.name for child in children if child.is_file()]
    ignored = Counter(extension(name) for name in loose if not is_image_name(name))
    refused = [outside_classes(name) for name in loose if is_image_name(name)]
    class_names: list[str] = []
    empty_classes, databases = [], []
    for name in folders:
        images, others, is_database = _class_of(root, name, len(class_names))
        if is_database:
            databases.append(name)
            refused += [in_database(entry.path, name) for entry in images]
            continue
        class_names.append(name)
        ignored.update(others)
        for entry in images:
            entries.append(entry)
        if not images:
            empty_classes.append(name)
    if len(empty_classes) == len(class_names):
        raise InputError(f"{root} has {len(folders)} subfolders and no image in any: {known_extensions()}")
    return FolderScan(entries, class_names, dict(ignored), empty_classes, databases, refused)


def _class_of(root: Path, name: str, label: int) -> tuple[EntryTable, Counter[str], bool]:
    """Images and other files (extension → how many) of a folder; and whether it is a database, no class."""
    images, others, is_database = EntryTable(), Counter[str](), False
    for path in _files_below(root, name, ancestors=()):
        if is_image_name(path):
            images.append(Entry(path, label))
        else:
            others[extension(path)] += 1
            is_database = is_database or is_of_database(path)
    return images, others, is_database


def is_of_database(path: str) -> bool:
    """Whether a file, by its path from its class on, tells that the class is an LMDB, a set, or a build of one."""
    return _OF_DATABASE.fullmatch(path) is not None


def outside_classes(path: str) -> Unreadable:
    """An image on top, beside the classes."""
    return Unreadable(path, NO_LABEL, "is in no class: it lies beside the folders of the classes")


def in_database(path: str, database: str) -> Unreadable:
    """An image in a folder that is no class."""
    return Unreadable(path, NO_LABEL, f"is in no class: {database} is an LMDB, or the build of one")


def database_notes(databases: Iterable[str]) -> list[str]:
    """Lines for `Source.notes`."""
    return [f"{name} is an LMDB, or the build of one, and no class" for name in databases]


def scan_flat(root: Path) -> tuple[list[str], dict[str, int]]:
    """Names of the images that lie in a folder itself, sorted; and what else lies there, as FolderScan.ignored.

    Raises InputError if `root` cannot be read.
    """
    names = [child.name for child in _children(root) if not child.is_dir()]
    ignored = Counter(extension(name) for name in names if not is_image_name(name))
    return [name for name in names if is_image_name(name)], dict(ignored)


def notes_of(
    ignored: dict[str, int], class_names: Sequence[str] = (), empty_classes: Iterable[str] = ()
) -> list[str]:
    """Lines for `Source.notes`: what of a folder or an archive is not used."""
    notes = []
    if ignored:
        kinds = ", ".join(
            f"{count:,} {kind or 'without extension'}" for kind, count in sorted(ignored.items())
        )
        count = sum(ignored.values())
        files = (
            "1 file that is hidden or no image"
            if count == 1
            else f"{count:,} files that are hidden or no images"
        )
        notes.append(f"ignored {files} by name: {kinds}")
    labels = {name: label for label, name in enumerate(class_names)}
    empty = list(empty_classes)
    notes += [f"class {name} (label {labels[name]}) has no image" for name in empty[:NAMED_CLASSES]]
    if len(empty) > NAMED_CLASSES:
        notes.append(f"{len(empty) - NAMED_CLASSES:,} more classes have no image")
    return notes


def known_extensions() -> str:
    """For messages: which names count as images."""
    return f"images are files named {', '.join(sorted('*' + e for e in IMAGE_EXTENSIONS))}"


def is_image_name(path: str) -> bool:
    """Whether the last part of a path is the name of an image that is not hidden."""
    return extension(path) in IMAGE_EXTENSIONS and not path[path.rfind("/") + 1 :].startswith(".")


def extension(name: str) -> str:
    """In lower case, with its dot; "" where there is none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million names: Path would take seconds


def _children(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        return sorted(os.scandir(folder), key=lambda child: child.name)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error


def _files_below(root: Path, folder: str, ancestors: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Paths from `root` on."""
    try:
        status = (root / folder).stat()
    except OSError as error:
        raise InputError(f"{root / folder} cannot be read: {error.strerror or error}") from error
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:  # a link to a folder above
        return
    for child in _children(root / folder):
        path = f"{folder}/{child.name}"
        if not child.is_dir():
            yield path
        elif not child.name.startswith("."):
            yield from _files_below(root, path, (*ancestors, identity))
