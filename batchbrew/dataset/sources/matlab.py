"""Arrays of structs in MATLAB's files (MAT-file, level 5, as versions 5 to 7.2 write them).

Only what ILSVRC2012's meta.mat needs: of one variable, some fields that are a number or a text each. (SciPy's reader
ends the process, with a segmentation fault, on some files that are damaged.) The format is in MathWorks' "MAT-File
Format": elements of a type and a length, filled up to 8 bytes; an array is an element that holds others.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
STRUCT_CLASS, CHAR_CLASS = 2, 4
NUMERIC_CLASSES = range(6, 16)
NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}
TEXTS = {1: "utf-8", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MAX_UNPACKED_BYTES = 64 * 2**20
MAX_NUMBERS = 1000  # in one array that is read

Value = int | float | str


def read_structs(data: bytes, variable: str, fields: Sequence[str]) -> list[tuple[Value, ...]]:
    """The values of `fields` in each struct of the array `variable`.

    Raises ValueError, OverflowError, zlib.error or struct.error if the file is damaged, or is not of this form.
    """
    if data[124:126] not in (b"\0\1", b"\1\0") or data[126:128] not in (b"IM", b"MI"):
        raise ValueError("it is no MAT-file of level 5")
    order = "<" if data[126:128] == b"IM" else ">"
    for element in _elements(data[HEADER_BYTES:], order):
        if element.kind == COMPRESSED:
            element = next(_elements(_unpacked(element.content), order), element)
        if element.kind == MATRIX:
            array = _Array(element.content, order)
            if array.name == variable:
                return array.structs(fields)
    raise ValueError(f"it has no variable {variable}")


@dataclass(frozen=True)
class _Element:
    kind: int
    content: bytes
    order: str

    def numbers(self) -> Sequence[int | float]:
        code = NUMBERS.get(self.kind)
        size = struct.calcsize(code) if code else 0
        if code is None or len(self.content) > size * MAX_NUMBERS:
            raise ValueError(f"it has {len(self.content):,} bytes of type {self.kind} for numbers")
        return struct.unpack(f"{self.order}{len(self.content) // size}{code}", self.content)

    def text(self) -> str:
        if self.kind not in TEXTS:
            raise ValueError(f"it has type {self.kind} for a text")
        encoding = TEXTS[self.kind]
        if encoding != "utf-8":
            encoding += "-le" if self.order == "<" else "-be"
        return self.content.decode(encoding)


class _Array:
    """What all arrays begin with: class, sizes, name."""

    def __init__(self, content: bytes, order: str) -> None:
        self._rest = _elements(content, order)
        flags = self._next().numbers()
        self._class = int(flags[0]) & 0xFF if flags else 0
        self._count = math.prod(int(size) for size in self._next().numbers())
        self.name = self._next().text()

    def structs(self, fields: Sequence[str]) -> list[tuple[Value, ...]]:
        if self._class != STRUCT_CLASS:
            raise ValueError(f"{self.name} is no array of structs")
        length = int(self._next().numbers()[0])
        table = self._next().content
        if length <= 0 or len(table) % length:
            raise ValueError(f"{self.name} has names of fields of {length} bytes")
        names = [table[at : at + length].partition(b"\0")[0].decode() for at in range(0, len(table), length)]
        missing = set(fields).difference(names)
        if missing:
            raise ValueError(f"{self.name} has no field {min(missing)}")
        rows = []
        for _ in range(self._count):  # more than there are end with an error
            row = {name: self._next() for name in names}
            rows.append(tuple(_value(row[field]) for field in fields))
        return rows

    def value(self) -> Value:
        """A number or a text."""
        if self._class == CHAR_CLASS:
            return self._next().text()
        numbers = self._next().numbers() if self._class in NUMERIC_CLASSES else ()
        if len(numbers) != 1:
            raise ValueError("a field is neither a number nor a text")
        return numbers[0]

    def _next(self) -> _Element:
        element = next(self._rest, None)
        if element is None:
            raise ValueError("it is cut off")
        return element


def _value(element: _Element) -> Value:
    if element.kind != MATRIX:
        raise ValueError(f"a field is of type {element.kind}")
    return _Array(element.content, element.order).value()


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    position = 0
    while position < len(data):
        kind, size = struct.unpack_from(order + "II", data, position)
        start = position + 8
        if kind >> 16:  # a small one: type and length in four bytes, the content in the next four
            kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            if size > 4:
                raise ValueError(f"it has a small element of {size} bytes")
        if start + size > len(data):
            raise ValueError("it is cut off")
        yield _Element(kind, data[start : start + size], order)
        end = start + size
        position = end if kind == COMPRESSED else end + -end % 8


def _unpacked(content: bytes) -> bytes:
    data = zlib.decompressobj().decompress(content, MAX_UNPACKED_BYTES)
    if len(data) == MAX_UNPACKED_BYTES:
        raise ValueError(f"it unpacks to {MAX_UNPACKED_BYTES:,} bytes or more")
    return data
