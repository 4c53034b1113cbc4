"""What goes into a data set: images with their labels, from a list file or a folder per class."""

import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from batchbrew.errors import InputError

IMAGE_EXTENSIONS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"))
MAX_LABEL = 2**31 - 1  # Datum.label is an int32
SHOWN_CHARACTERS = 300  # of a line, in errors
LINE = re.compile(r"(?P<path>.*[^ \t])[ \t]+(?P<label>[^ \t]+)[ \t]*", re.DOTALL)


class Entry(NamedTuple):
    """An image: its path (relative to the data set's root, or absolute) and its label, 0 to 2³¹-1."""

    path: str
    label: int


@dataclass(frozen=True)
class FolderScan:
    """What a folder per class holds, and what of it is not used."""

    entries: list[Entry]
    class_names: list[str]
    """Sorted by code point; a class's label is its place here."""
    ignored: dict[str, int]
    """Files that are not images by their name: extension (lower case, "" for none) → how many."""
    empty_classes: list[str]
    """Classes without an image; they keep their label."""


def read_list(list_file: Path, root: Path) -> list[Entry]:
    """The entries of a list in Caffe's format: a path, white space, a label; blank lines are skipped.

    The path is everything before the last run of blanks or tabs, so it may contain some. Whether the files
    exist is found out when they are read; `root` only serves to recognise one file under two spellings.
    Raises InputError with file, number and text of the line that is wrong.
    """
    try:
        with list_file.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            entries = list(_parse_lines(file, list_file, root))
    except OSError as error:
        raise InputError(f"{list_file} cannot be read: {error.strerror or error}") from error
    if not entries:
        raise InputError(
            f"{list_file} lists no image: a line is a path, a blank and a label, as in 'cat/1.jpg 0'"
        )
    return entries


def _parse_lines(lines: Iterable[str], list_file: Path, root: Path) -> Iterator[Entry]:
    seen: dict[str, tuple[int, int]] = {}
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        where = f"{list_file}, line {number}: {text[:SHOWN_CHARACTERS]!r}"
        if "\0" in text:
            raise InputError(f"{where} contains a zero byte: is this a text file?")
        parts = LINE.fullmatch(text)
        if parts is None:
            raise InputError(f"{where} has no label: write a path, a blank and a number, as in 'cat/1.jpg 0'")
        entry = Entry(parts["path"], _parse_label(parts["label"], where))
        label, first = seen.setdefault(os.path.normpath(root / entry.path), (entry.label, number))
        if label != entry.label:
            raise InputError(
                f"{where} has label {entry.label}, but the same file has label {label} in line {first}"
            )
        yield entry


def _parse_label(text: str, where: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise InputError(f"{where} has {text!r} for a label: it must be a whole number from 0")
    if len(text) > 20 or not 0 <= int(text) <= MAX_LABEL:
        raise InputError(f"{where} has label {text[:20]}: labels are 0 to {MAX_LABEL}")
    return int(text)


def scan_folder(root: Path) -> FolderScan:
    """The images of a folder with a subfolder for each class; folders in a class belong to that class.

    Hidden files and folders (a dot in front) are not looked into; the files among them count as ignored.
    Links are followed, but no folder is entered twice on one way down. Raises InputError if `root` cannot
    be read, or has no subfolder, or no image in any.
    """
    try:
        children = sorted(os.scandir(root), key=lambda child: child.name)
    except OSError as error:
        raise InputError(f"{root} cannot be read: {error.strerror or error}") from error
    class_names = [child.name for child in children if child.is_dir() and not child.name.startswith(".")]
    if not class_names:
        raise InputError(
            f"{root} has no subfolders: one folder for each class is expected, with its images in it"
        )
    ignored = Counter(_extension(child.name) for child in children if child.is_file())
    entries: list[Entry] = []
    empty_classes = []
    for label, name in enumerate(class_names):
        before = len(entries)
        for path in _files_below(root / name, ancestors=()):
            if _is_image(path):
                entries.append(Entry(os.path.relpath(path, root), label))
            else:
                ignored[_extension(path.name)] += 1
        if len(entries) == before:
            empty_classes.append(name)
    if not entries:
        raise InputError(
            f"{root} has {len(class_names)} subfolders and no image in any: {known_extensions()}"
        )
    return FolderScan(entries, class_names, dict(ignored), empty_classes)


def known_extensions() -> str:
    """For messages: which names count as images."""
    return f"images are files named {', '.join(sorted('*' + e for e in IMAGE_EXTENSIONS))}"


def _files_below(folder: Path, ancestors: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in ancestors:  # a link to a folder above
            return
        children = sorted(os.scandir(folder), key=lambda child: child.name)
        for child in children:
            if not child.is_dir():
                yield folder / child.name
            elif not child.name.startswith("."):
                yield from _files_below(folder / child.name, (*ancestors, identity))
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error


def _is_image(path: Path) -> bool:
    return not path.name.startswith(".") and _extension(path.name) in IMAGE_EXTENSIONS


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million names: Path would take seconds


def shuffled(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """The entries in an order that depends on nothing but their number and the seed.

    A Fisher-Yates shuffle driven by `random.Random(seed).random()`. Python promises the values of random()
    for a given seed in all its versions and on all platforms; it does not promise random.shuffle's.
    """
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed {seed!r} cannot be used: it must be a whole number from 0")
    result = list(entries)
    uniform = random.Random(seed).random
    for last in range(len(result) - 1, 0, -1):
        chosen = int(uniform() * (last + 1))
        result[last], result[chosen] = result[chosen], result[last]
    return result
