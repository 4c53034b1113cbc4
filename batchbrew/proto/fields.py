"""What a message's descriptor says of its fields, in the form that reading and writing text need."""

import functools
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INT_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclass(frozen=True)
class Field:
    """One field of a message.

    `kind` is "message", "enum", "string", "bytes", "bool", "float", "double" or a key of INT_RANGES;
    `enum_numbers` is empty but for an enum, `message_type` (a descriptor) None but for a message.
    """

    name: str
    kind: str
    repeated: bool
    enum_numbers: Mapping[str, int]
    message_type: Any


@functools.cache
def fields_of(descriptor: Any) -> Mapping[str, Field]:
    """The fields of a message descriptor by name, in the order of caffe.proto."""
    return {field.name: _field(field) for field in descriptor.fields}


def nearest_float(value: float) -> float:
    """The nearest number that a float can hold; infinite beyond the largest."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _field(field: Any) -> Field:
    kinds = {
        field.TYPE_MESSAGE: "message",
        field.TYPE_ENUM: "enum",
        field.TYPE_STRING: "string",
        field.TYPE_BYTES: "bytes",
        field.TYPE_BOOL: "bool",
        field.TYPE_FLOAT: "float",
        field.TYPE_DOUBLE: "double",
        field.TYPE_INT32: "int32",
        field.TYPE_INT64: "int64",
        field.TYPE_UINT32: "uint32",
        field.TYPE_UINT64: "uint64",
    }
    numbers = {value.name: value.number for value in field.enum_type.values} if field.enum_type else {}
    return Field(field.name, kinds[field.type], _is_repeated(field), numbers, field.message_type)


def _is_repeated(field: Any) -> bool:
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)  # protobuf before 6.31; 7 has no `label`
