"""Tables (CSV) of images: a column of paths and one of labels or class names."""

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchbrew.dataset.sources.entry import Entry, EntryTable
from batchbrew.dataset.sources.files import FilesSource
from batchbrew.dataset.sources.folder import is_image_name
from batchbrew.dataset.sources.lists import (
    SHOWN_CHARACTERS,
    parse_label,
    refuse_contradictions,
    require_folder,
)
from batchbrew.errors import InputError

PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path")
LABEL_NAMES = ("label", "class", "category", "target", "class_name", "class_id", "label_id")
DELIMITERS = ",\t;"
NUMBER = re.compile(r"\s*[+-]?(?=[.]?[0-9])[0-9]*[.]?[0-9]*\s*")  # 1.0, too: it is refused, and no class name

Row = tuple[int, list[str]]


def open_csv(
    csv_file: Path, root: Path, path_column: str | None = None, label_column: str | None = None
) -> FilesSource:
    """The files that a table names, with paths relative to `root`.

    With a header, the columns are found by their names (path, file, image, ...; label, class, ...) or are
    those that `path_column` and `label_column` name; without one, there are two: path, label. They are
    separated by commas (tabs or semicolons where the first line has no comma), blanks may follow, and they are quoted
    as in RFC 4180. Labels are all numbers, or all class names: those are numbered in sorted order. Raises InputError
    with file and line.
    """
    require_folder(root)
    rows = read_rows(csv_file)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{csv_file} is empty: a line is a path, a comma and a label, as in 'cat/1.jpg,0'")
    places = _columns(csv_file, first, path_column, label_column)
    if places is None:
        places, rows = (0, 1), read_rows(csv_file)
    texts, entries, numbers = _Texts(csv_file), EntryTable(), array("Q")
    for number, row in rows:
        where = f"{csv_file}, line {number}: {','.join(row)[:SHOWN_CHARACTERS]!r}"
        if len(row) != len(first[1]):
            raise InputError(
                f"{where} has {len(row)} columns, but the first line has {len(first[1])}: quote cells with commas"
            )
        path, label = row[places[0]], row[places[1]]
        if not path:
            raise InputError(f"{where} has no path")
        entries.append(Entry(path, texts.number_of(label, number, where)))
        numbers.append(number)
    if not entries:
        raise InputError(f"{csv_file} lists no image: it has nothing but its header")
    class_names = texts.class_names()
    if class_names is not None:
        entries = texts.in_sorted_order(entries)

    def line_of(index: int) -> str:
        return f"{csv_file}, line {numbers[index]}: {entries[index].path[:SHOWN_CHARACTERS]!r}"

    refuse_contradictions(entries, root, line_of, numbers)
    return FilesSource(entries, root, class_names, f"table {csv_file} of files below {root}")


class _Texts:
    """The labels of a table: numbers, or names that are numbered as they come, and by their order at last."""

    def __init__(self, csv_file: Path) -> None:
        self._csv_file = csv_file
        self._names: dict[str, int] = {}
        self._first: tuple[bool, int, str] | None = None

    def number_of(self, text: str, line: int, where: str) -> int:
        text = text.strip()
        is_number = NUMBER.fullmatch(text) is not None
        if not text:
            raise InputError(f"{where} has no label")
        if self._first is None:
            self._first = (is_number, line, text)
        if self._first[0] != is_number:
            _, other, first = self._first
            raise InputError(
                f"{where} has {text!r} for a label, but line {other} has {first!r}: give all labels as numbers "
                "or all as names; of a table with a header, name the columns"
            )
        return parse_label(text, where) if is_number else self._names.setdefault(text, len(self._names))

    def class_names(self) -> list[str] | None:
        return sorted(self._names) if self._names else None

    def in_sorted_order(self, entries: EntryTable) -> EntryTable:
        """The same entries with the labels that sorting the names gives."""
        labels = array("i", bytes(4 * len(self._names)))
        for label, name in enumerate(sorted(self._names)):
            labels[self._names[name]] = label
        result = EntryTable()
        for path, number in entries:
            result.append(Entry(path, labels[number]))
        return result


def _columns(
    csv_file: Path, first: Row, path_column: str | None, label_column: str | None
) -> tuple[int, int] | None:
    """Places of path and label, if the first line is a header; None if it is an image already."""
    number, row = first
    names = [name.strip().lower() for name in row]
    wanted = [
        _place(csv_file, names, path_column, PATH_NAMES),
        _place(csv_file, names, label_column, LABEL_NAMES),
    ]
    if wanted[0] is not None and wanted[1] is not None:
        return wanted[0], wanted[1]
    has = f"{csv_file}, line {number}: {','.join(row)[:SHOWN_CHARACTERS]!r}"
    if path_column is not None or label_column is not None or wanted != [None, None]:
        missing = ("path", "label")[wanted.index(None)]
        raise InputError(f"{has} has no column that is known as the {missing}'s: name it")
    if len(row) != 2:
        raise InputError(f"{has} has {len(row)} columns: without a header, there are two, path and label")
    if not is_image_name(row[0]) and not NUMBER.fullmatch(row[1]):
        raise InputError(f"{has} looks like a header with unknown names: call the columns path and label")
    return None


def _place(csv_file: Path, names: Sequence[str], asked: str | None, known: Sequence[str]) -> int | None:
    if asked is not None:
        if names.count(asked.strip().lower()) != 1:
            raise InputError(
                f"{csv_file} has no column {asked!r}, or two: its columns are {', '.join(names)}"
            )
        return names.index(asked.strip().lower())
    return next((names.index(name) for name in known if name in names), None)


def read_rows(csv_file: Path) -> Iterator[Row]:
    """Number, from 1, of each row's last line, and its cells; blank lines are skipped.

    Raises InputError for what is no table.
    """
    number = 0
    try:
        with csv_file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            first = file.readline(SHOWN_CHARACTERS * 100)
            file.seek(0)
            delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
            reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
            for row in reader:
                number = reader.line_num
                if any("\0" in cell for cell in row):
                    raise InputError(f"{csv_file}, line {number} contains a zero byte: is this a text file?")
                if any(cell.strip() for cell in row):
                    yield number, row
    except OSError as error:
        raise InputError(f"{csv_file} cannot be read: {error.strerror or error}") from error
    except csv.Error as error:
        raise InputError(f"{csv_file}, line {number + 1} is no row of a table: {error}") from error
