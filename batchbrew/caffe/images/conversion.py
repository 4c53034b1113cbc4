"""Caffe's BlobProto and Datum to arrays and back, as pycaffe's io has them: numbers become float64, not float32."""

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from batchbrew.dataset.images import ImageError, decode_stored
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.blobs import blob_shape

MAX_SIDE = 2**31 - 1  # a Datum's fields are int32


class ArrayError(InputError, ValueError):
    """An array, or a message, whose shape does not fit; a ValueError, as pycaffe's."""


def blobproto_to_array(blob: pb.BlobProto, return_diff: bool = False) -> NDArray[np.float64]:
    """The data of `blob`, or with `return_diff` its gradient, as float64 in its shape.

    Raises InputError on an absurd shape, ArrayError if the numbers are not as many as the shape says.
    """
    shape = blob_shape(blob)
    single, double = (blob.diff, blob.double_diff) if return_diff else (blob.data, blob.double_data)
    name = "diff" if return_diff else "data"
    return _shaped(np.array(single or double, np.float64), shape, f"blob's {name}")


def array_to_blobproto(arr: NDArray[Any], diff: NDArray[Any] | None = None) -> pb.BlobProto:
    """A BlobProto of `arr`, any number of axes, and of its gradient `diff`, of the same shape."""
    if diff is not None and diff.shape != arr.shape:
        raise ArrayError(f"diff has shape {diff.shape}, the array {arr.shape}: they must be the same")
    blob = pb.BlobProto()
    blob.shape.SetInParent()  # a number alone has a shape too: no axes
    blob.shape.dim.extend(arr.shape)
    blob_shape(blob, "array")
    blob.data.extend(arr.astype(float).ravel().tolist())
    if diff is not None:
        blob.diff.extend(diff.astype(float).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[NDArray[Any]]) -> bytes:
    """A serialized BlobProtoVector of arrays."""
    blobs = [array_to_blobproto(array) for array in arraylist]
    return bytes(pb.BlobProtoVector(blobs=blobs).SerializeToString())


def blobprotovector_str_to_arraylist(str: bytes) -> list[NDArray[np.float64]]:
    """The arrays of a serialized BlobProtoVector. Raises InputError if that is damaged."""
    vector = pb.BlobProtoVector()
    try:
        vector.ParseFromString(str)
    except DecodeError as error:
        raise InputError(f"{len(str):,} bytes are no BlobProtoVector: {error}") from error
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: NDArray[Any], label: int | None = None) -> pb.Datum:
    """A Datum of `arr`, C×H×W: uint8 is kept as bytes, other numbers as floats. Raises ArrayError."""
    if arr.ndim != 3 or max(arr.shape) > MAX_SIDE:
        raise ArrayError(f"a Datum holds channels×height×width; an array of shape {arr.shape} is not that")
    channels, height, width = arr.shape
    datum = pb.Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).ravel().tolist())
    if label is not None:
        try:
            datum.label = operator.index(label)
        except (TypeError, ValueError) as error:
            raise ArrayError(f"a Datum's label is a whole number below 2^31, not {label!r}") from error
    return datum


def datum_to_array(datum: pb.Datum) -> NDArray[Any]:
    """The pixels of `datum`, C×H×W: uint8 of bytes, float64 of floats. Its label is `datum.label`.

    An encoded image (`encoded: true`, what `batchbrew lmdb build` writes) is decoded, BGR, as Caffe's Data layer
    does it; pycaffe does not. Raises ArrayError if the numbers are not as many as the shape says.
    """
    if datum.encoded:
        try:
            return decode_stored(datum.data).transpose(2, 0, 1).copy()
        except ImageError as error:
            raise InputError(f"datum's encoded image {error}") from error
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        return _shaped(np.frombuffer(datum.data, np.uint8).copy(), shape, "datum's data")
    return _shaped(np.array(datum.float_data, np.float64), shape, "datum's float_data")


def _shaped(numbers: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    count = 1
    for length in shape:
        count *= length
    if min(shape, default=1) < 0 or count != numbers.size:
        text = "×".join(map(str, shape)) or "of one number"
        raise ArrayError(f"{name} has {numbers.size:,} numbers, its shape is {text}: the message is damaged")
    return numbers.reshape(shape)
