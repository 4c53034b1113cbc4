"""Writes a message as a prototxt."""

import re
from typing import Any

from google.protobuf.message import Message

from batchbrew.proto.fields import Field, fields_of, nearest_float

INDENT = "  "
MAX_PLAIN = 1e9  # whole numbers under this are written with all digits, not as 1e+06

_SPECIAL = re.compile(r'[\x00-\x1f\x7f"\\]')
_SPECIAL_BYTES = re.compile(rb'[^\x20-\x7e]|["\\]')
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def format_prototxt(message: Message) -> str:
    """`message` as text, a field a line, in the order of caffe.proto, two blanks for each level.

    Numbers are as short as can be while they read back the same. Fields that caffe.proto does not know (of
    another Caffe's caffemodel) are left out.
    """
    lines: list[str] = []
    _append(lines, message, "")
    return "".join(f"{line}\n" for line in lines)


def _append(lines: list[str], message: Message, indent: str) -> None:
    fields = fields_of(message.DESCRIPTOR)
    for descriptor, value in sorted(message.ListFields(), key=lambda pair: int(pair[0].index)):
        field = fields[descriptor.name]
        for one in value if field.repeated else [value]:
            if field.kind != "message":
                lines.append(f"{indent}{field.name}: {_scalar(field, one)}")
                continue
            lines.append(f"{indent}{field.name} {{")
            _append(lines, one, indent + INDENT)
            lines.append(indent + "}")


def _scalar(field: Field, value: Any) -> str:
    if field.kind == "enum":
        return next(name for name, number in field.enum_numbers.items() if number == value)
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind in ("string", "bytes"):
        return quoted(value)
    return short_number(value, field.kind)


def short_number(value: float, kind: str) -> str:
    """A short decimal that reads back as `value`, a number of protobuf's type `kind`.

    0.1 as a float is 0.100000001490116, and written "0.1".
    """
    if kind not in ("float", "double"):
        return str(value)
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if value.is_integer() and abs(value) < MAX_PLAIN:
        return f"{value:.0f}"
    if kind == "double":
        return repr(value)
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if nearest_float(float(text)) == value:
            return text
    return f"{value:.9g}"


def quoted(value: str | bytes) -> str:
    """A string literal; text stays readable UTF-8, other bytes become octal escapes."""
    if isinstance(value, str):
        return f'"{_SPECIAL.sub(lambda match: _escape(match[0]), value)}"'
    text = _SPECIAL_BYTES.sub(lambda match: _escape(chr(match[0][0])).encode(), value)
    return f'"{text.decode("ascii")}"'


def _escape(character: str) -> str:
    return _NAMED.get(character) or f"\\{ord(character):03o}"
