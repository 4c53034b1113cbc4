"""Lists in Caffe's format: a path and a label a line."""

import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from batchbrew.dataset.sources.entry import MAX_LABEL, Entry, EntryTable
from batchbrew.dataset.sources.files import FilesSource
from batchbrew.dataset.sources.repeats import Repeats
from batchbrew.errors import InputError

SHOWN_CHARACTERS = 300  # of a line, in errors
LINE = re.compile(r"(?P<path>.*[^ \t])[ \t]+(?P<label>[^ \t]+)[ \t]*", re.DOTALL)


def open_list(list_file: Path, root: Path, class_names: Sequence[str] | None = None) -> FilesSource:
    """The files that a list names, with paths relative to `root`. Raises InputError as `read_list`."""
    require_folder(root)
    return FilesSource(
        read_table(list_file, root), root, class_names, f"list {list_file} of files below {root}"
    )


def require_folder(root: Path) -> None:
    """Raise InputError unless the folder is there that a list's paths start from."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: name the one that the list's paths start from")


def read_list(list_file: Path, root: Path) -> list[Entry]:
    """The entries of a list in Caffe's format: a path, white space, a label; blank lines are skipped.

    The path is everything before the last run of blanks or tabs, so it may contain some. Whether the files
    exist is found out when they are read; `root` only serves to recognise one file under two spellings.
    Raises InputError with file, number and text of the line that is wrong.
    """
    return list(read_table(list_file, root))


def read_table(list_file: Path, root: Path) -> EntryTable:
    """The same in less memory."""
    entries, numbers = EntryTable(), array("Q")
    for number, text in _lines(list_file):
        entries.append(_parse(text, f"{list_file}, line {number}: {text[:SHOWN_CHARACTERS]!r}"))
        numbers.append(number)
    if not entries:
        raise InputError(
            f"{list_file} lists no image: a line is a path, a blank and a label, as in 'cat/1.jpg 0'"
        )

    def where(index: int) -> str:
        # Nothing where it was a pipe, which is read once.
        text = next((text for number, text in _lines(list_file) if number == numbers[index]), "")
        return f"{list_file}, line {numbers[index]}: {text[:SHOWN_CHARACTERS]!r}"

    refuse_contradictions(entries, root, where, numbers)
    return entries


def refuse_contradictions(
    entries: Sequence[Entry], root: Path, where: Callable[[int], str], lines: Sequence[int]
) -> None:
    """Raise InputError if one file, under whatever spelling of its path, has two labels.

    `lines` are the entries' line numbers; `where(index)` begins the error: file, line, and what it says.
    """
    base = os.fspath(root)

    def places() -> Iterator[str]:
        return (os.path.normpath(os.path.join(base, entry.path)) for entry in entries)  # noqa: PTH118 - speed

    repeats = Repeats()
    for place in places():
        repeats.add(place)
    seen: dict[str, int] = {}
    for index, place in repeats.candidates(places()):
        first = seen.setdefault(place, index)
        if entries[first].label != entries[index].label:
            raise InputError(
                f"{where(index)} has label {entries[index].label}, "
                f"but the same file has label {entries[first].label} in line {lines[first]}"
            )


def parse_label(text: str, where: str) -> int:
    """A whole number, 0 to 2³¹-1. Raises InputError, which `where` begins."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise InputError(f"{where} has {text!r} for a label: it must be a whole number from 0")
    if len(text) > 20 or not 0 <= int(text) <= MAX_LABEL:
        raise InputError(f"{where} has label {text[:20]}: labels are 0 to {MAX_LABEL}")
    return int(text)


def _lines(list_file: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank."""
    try:
        with list_file.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                text = line.rstrip("\r\n")
                if text.strip():
                    yield number, text
    except OSError as error:
        raise InputError(f"{list_file} cannot be read: {error.strerror or error}") from error


def _parse(text: str, where: str) -> Entry:
    if "\0" in text:
        raise InputError(f"{where} contains a zero byte: is this a text file?")
    parts = LINE.fullmatch(text)
    if parts is None:
        raise InputError(f"{where} has no label: write a path, a blank and a number, as in 'cat/1.jpg 0'")
    return Entry(parts["path"], parse_label(parts["label"], where))
