"""BlobProto to numpy and back.

Numbers are moved as memory, never one by one: 60 million floats take about 0.1 s where protobuf lets numpy in
(version 7), else 1 s; iterating over them takes 4 s to read, 20 s to write.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from batchbrew.errors import InputError
from batchbrew.proto.caffe_pb2 import BlobProto
from batchbrew.proto.files import MAX_FILE_BYTES

MAX_ELEMENTS = 2**31 - 1  # Caffe counts elements in an int
MAX_AXES = 32  # Caffe's kMaxBlobAxes, and that of numpy before version 2
LEGACY_SHAPE = ("num", "channels", "height", "width")

Floats = NDArray[np.float32] | NDArray[np.float64]

# number and number format of each field; on the wire it is a tag (number·8 + 2), its bytes counted, its bytes
_FIELDS = {"data": (5, "<f4"), "diff": (6, "<f4"), "double_data": (8, "<f8"), "double_diff": (9, "<f8")}


def blob_shape(blob: BlobProto, name: str = "blob") -> tuple[int, ...]:
    """The shape that Caffe gives to `blob`: of the legacy fields if one is present, else of `shape`.

    Raises InputError, beginning with `name`, on more than 32 axes, a negative length, or over 2,147,483,647
    elements.
    """
    legacy = any(blob.HasField(field) for field in LEGACY_SHAPE)
    shape = (
        tuple(getattr(blob, field) for field in LEGACY_SHAPE)
        if legacy
        else tuple(blob.shape.dim[: MAX_AXES + 1])
    )
    if len(shape) > MAX_AXES:
        raise InputError(f"{name} has {len(blob.shape.dim):,} axes: Caffe knows {MAX_AXES} at most")
    if any(length < 0 for length in shape):
        raise InputError(f"{name} has the shape {_shown(shape)}: no length may be negative")
    if math.prod(length for length in shape if length) > MAX_ELEMENTS:
        raise InputError(
            f"{name} has the shape {_shown(shape)}: Caffe knows {MAX_ELEMENTS:,} elements at most"
        )
    return shape


def blob_array(blob: BlobProto, name: str = "blob") -> Floats:
    """The numbers of `blob` in its shape, a writable copy; float64 if `double_data` is present, else float32.

    Raises InputError, beginning with `name`, if the shape is absurd or the number of elements another one.
    """
    return _array(blob, "double_data" if len(blob.double_data) else "data", name)


def blob_diff(blob: BlobProto, name: str = "blob") -> Floats | None:
    """The gradient of `blob` like blob_array, None if it holds none."""
    field = "double_diff" if len(blob.double_diff) else "diff"
    return _array(blob, field, name) if len(getattr(blob, field)) else None


def array_blob(array: ArrayLike, diff: ArrayLike | None = None) -> BlobProto:
    """A BlobProto of `array` and its gradient `diff`; float64 is kept, other numbers become float32.

    Raises InputError on more than 32 axes or 2,147,483,647 bytes.
    """
    values = _floats(array)
    gradient = None if diff is None else _floats(diff)
    assert gradient is None or gradient.shape == values.shape, f"diff {gradient.shape}, array {values.shape}"
    blob = BlobProto()
    blob.shape.SetInParent()
    blob.shape.dim.extend(values.shape)
    blob_shape(blob, "array")
    _fill(blob, "data", values)
    if gradient is not None:
        _fill(blob, "diff", gradient)
    return blob


def _array(blob: BlobProto, field: str, name: str) -> Floats:
    shape = blob_shape(blob, name)
    count, held = math.prod(shape), len(getattr(blob, field))
    if count != held:
        raise InputError(
            f"{name} has the shape {_shown(shape)}, {count:,} numbers, but holds {held:,} in {field}"
        )
    return numbers(blob, field).reshape(shape)


def numbers(blob: BlobProto, field: str) -> Floats:
    """The numbers of a field of `blob`, flat."""
    values = getattr(blob, field)
    native: Any = np.float64 if field.startswith("double") else np.float32
    if hasattr(values, "__array__") and len(values):
        return np.array(values, dtype=native)
    return numbers_by_wire(blob, field).astype(native)


def numbers_by_wire(blob: BlobProto, field: str) -> Floats:
    """The same where numpy cannot look into protobuf: when serialised, the numbers lie in one piece."""
    wire = blob.SerializePartialToString()
    number, wire_format = _FIELDS[field]
    count = len(getattr(blob, field))
    return np.frombuffer(wire, wire_format, count, offset=packed_start(number, wire) if count else 0)


def packed_start(number: int, wire: bytes) -> int:
    """Where the content of the packed field `number` begins in a serialised message that has it."""
    position, groups = (
        0,
        0,
    )  # inside of a group, which only an unknown field can be, numbers mean something else
    while True:
        key, position = _read_varint(wire, position)
        kind = key & 7
        groups += (kind == 3) - (kind == 4)
        if kind in (0, 2):
            value, position = _read_varint(wire, position)
            if kind == 2:
                if key >> 3 == number and not groups:
                    return position
                position += value
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4


def _read_varint(wire: bytes, position: int) -> tuple[int, int]:
    """The variable-length integer at `position`, and the position behind it."""
    value = shift = 0
    while True:
        byte = wire[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _fill(blob: BlobProto, field: str, values: Floats) -> None:
    """Append `values` to data or diff, or its double form if they are float64, by parsing their wire form."""
    field = f"double_{field}" if values.dtype == np.float64 else field
    number, wire_format = _FIELDS[field]
    if values.nbytes > MAX_FILE_BYTES:
        raise InputError(f"array has {values.nbytes:,} bytes: Caffe knows {MAX_FILE_BYTES:,} at most")
    content = np.ascontiguousarray(values, dtype=wire_format).reshape(-1).view(np.uint8)
    if content.nbytes:
        tag = bytes([number << 3 | 2])
        blob.MergeFromString(b"".join([tag, _varint(content.nbytes), content.data]))


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _floats(array: ArrayLike) -> Floats:
    values = np.asarray(array)
    assert values.dtype.kind in "fiub", f"an array of {values.dtype} is no array of numbers"
    wide = values.dtype.kind == "f" and values.dtype.itemsize >= 8
    return values.astype(np.float64, copy=False) if wide else values.astype(np.float32, copy=False)


def _shown(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "of a single number"
