"""What tar archives hold: the images in them, with their places, and what cannot be used."""

import os
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources.entry import Entry, EntryTable
from batchbrew.dataset.sources.folder import extension, is_image_name, is_of_database
from batchbrew.dataset.sources.repeats import Repeats
from batchbrew.dataset.sources.source import NO_LABEL
from batchbrew.dataset.sources.tar_files import TarFiles
from batchbrew.dataset.sources.tar_members import MAX_NAME_BYTES, Member, TarReader

MAX_IMAGE_BYTES = 256 * 2**20  # of an image file, as on disk (dataset/images.py)
MEMBERS_BETWEEN_REPORTS = 1000
SHOWN_CHARACTERS = 200  # of a name that is too long

Progress = Callable[[int, int, int], None]
"""Called with members found, bytes of the archives passed, and their bytes in all."""


@dataclass
class TarIndex:
    """The images of one or more archives: 30 bytes and the path's each.

    An archive in an archive is a folder of its name without ".tar"; so is an archive of one class.
    """

    paths: EntryTable = field(default_factory=EntryTable)
    """Cleaned: no "." and no "//". The labels mean nothing."""
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    archives: "array[int]" = field(default_factory=lambda: array("I"))
    """Which archive an image is in."""
    repeated: set[int] = field(default_factory=set)
    """Images whose path another, earlier one has; they are in `refused` too."""
    folders: set[str] = field(default_factory=set)
    """Paths of folders and of archives in archives, one or two levels deep."""
    databases: set[str] = field(default_factory=set)
    """Those of them that are LMDBs, or builds of them."""
    ignored: Counter[str] = field(default_factory=Counter)
    refused: list[Unreadable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def index_archives(files: TarFiles, class_each: bool, progress: Progress | None = None) -> TarIndex:
    """Read the headers of all members; with `class_each` an archive is a folder, of its file's name.

    Raises InputError where an archive is damaged or cut off, since nobody knows then what is missing.
    """
    started = time.monotonic()
    sizes = [_size_of(files, number) for number in range(len(files.paths))]
    indexer = _Indexer(progress, sum(sizes))
    for number, (path, size) in enumerate(zip(files.paths, sizes, strict=True)):
        folder = path.name[: -len(".tar")] + "/" if class_each else ""
        with files.opened(number) as handle:
            indexer.add(handle, number, 0, size, str(path), folder)
        indexer.passed += size
    index = indexer.finish()
    seconds = time.monotonic() - started
    index.notes.append(f"{indexer.members:,} members indexed in {seconds:,.1f} s")
    return index


def _size_of(files: TarFiles, number: int) -> int:
    with files.opened(number) as handle:
        return os.fstat(handle).st_size


class _Indexer:
    def __init__(self, progress: Progress | None, total_bytes: int) -> None:
        self._progress = progress
        self._total = total_bytes
        self._index = TarIndex()
        self._repeats = Repeats()
        self.passed = 0  # bytes of the archives before this one
        self.members = 0

    def add(self, handle: int, archive: int, start: int, end: int, name: str, folder: str) -> None:
        """Index the archive in these bytes of a file; its members' paths begin with `folder`."""
        reader = TarReader(handle, start, end, name)
        if folder:
            self._index.folders.add(folder[:-1])
        for member in reader:
            self.members += 1
            if self._progress is not None and self.members % MEMBERS_BETWEEN_REPORTS == 0:
                self._progress(self.members, self.passed + member.offset, self._total)
            path, problem = clean_path(member.name)
            problem = problem or member.problem
            if problem is None and member.is_folder:
                self._add_folder(folder + path)
            elif problem is None and _is_hidden(path):
                self._ignore_hidden(path)
            elif problem is None and path.lower().endswith(".tar") and not folder:
                inner = f"{name}, member {member.name!r},"
                self.add(handle, archive, member.offset, member.offset + member.size, inner, path[:-4] + "/")
            else:
                self._add_file(folder + path, member, problem, archive)
        self._index.notes += reader.notes

    def finish(self) -> TarIndex:
        """Find the paths that are there twice, now that all are known."""
        index = self._index
        first: set[str] = set()
        for number, path in self._repeats.candidates(entry.path for entry in index.paths):
            if path in first:
                index.repeated.add(number)
                index.refused.append(Unreadable(path, NO_LABEL, "is in the archive a second time"))
            first.add(path)
        if self._progress is not None:
            self._progress(self.members, self._total, self._total)
        return index

    def _ignore_hidden(self, path: str) -> None:
        """As in folders: a hidden file counts as ignored; what is in hidden folders does not count."""
        if not _is_hidden(path.rpartition("/")[0]):
            self._index.ignored[extension(path)] += 1

    def _add_folder(self, path: str) -> None:
        parts = path.split("/")
        if path and not _is_hidden(path):
            self._index.folders.update(("/".join(parts[:1]), "/".join(parts[:2])))

    def _add_file(self, path: str, member: Member, problem: str | None, archive: int) -> None:
        index = self._index
        if problem is None and path.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
            problem = "is an archive that is compressed or two levels deep: unpack it"
        if problem is None and not is_image_name(path):
            index.ignored[extension(path)] += 1
            self._note_database(path)
            return
        if problem is None and member.size > MAX_IMAGE_BYTES:
            problem = f"has {member.size:,} bytes, more than {MAX_IMAGE_BYTES:,}"
        if problem is not None:
            index.refused.append(Unreadable(path, NO_LABEL, problem))
            return
        index.paths.append(Entry(path, 0))
        index.offsets.append(member.offset)
        index.sizes.append(member.size)
        index.archives.append(archive)
        self._repeats.add(path)

    def _note_database(self, path: str) -> None:
        """A class is a folder on top, or one level below."""
        first, _, rest = path.partition("/")
        if is_of_database(path):
            self._index.databases.add(first)
        if is_of_database(rest):
            self._index.databases.add(f"{first}/{rest.partition('/')[0]}")


def clean_path(name: str) -> tuple[str, str | None]:
    """A member's path without "." and "//", and what is wrong with it, as in "has an absolute path"."""
    if len(name) > MAX_NAME_BYTES // 4:  # a character has up to four bytes
        size = len(name.encode("utf-8", "surrogateescape"))
        if size > MAX_NAME_BYTES:
            return f"{name[:SHOWN_CHARACTERS]}...", f"has a name of {size:,} bytes"
    if "\0" in name:
        return name, "has a zero byte in its path"
    if "/" not in name and name not in (".", ".."):
        return name, None
    if name.startswith("/"):
        return name, "has an absolute path"
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        return name, "has a '..' in its path"
    return "/".join(parts), None


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path
