from typing import Any

import numpy as np
import pytest

from batchbrew.errors import InputError
from batchbrew.proto.blobs import (
    array_blob,
    blob_array,
    blob_diff,
    blob_shape,
    numbers,
    numbers_by_wire,
    packed_start,
)
from batchbrew.proto.caffe_pb2 import BlobProto, BlobShape


def test_floats() -> None:
    blob = BlobProto(shape=BlobShape(dim=[2, 3]), data=[1, 2, 3, 4, 5, 0.1])
    array = blob_array(blob)
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2, 3], [4, 5, np.float32(0.1)]]
    array[0, 0] = 7  # it is ours to change
    assert blob.data[0] == 1
    assert blob_diff(blob) is None


def test_doubles_come_before_floats_as_in_caffe() -> None:
    blob = BlobProto(shape=BlobShape(dim=[1]), data=[1], double_data=[0.1], diff=[1], double_diff=[0.2])
    assert blob_array(blob).dtype == np.float64
    assert blob_array(blob).tolist() == [0.1]
    diff = blob_diff(blob)
    assert diff is not None
    assert diff.dtype == np.float64
    assert diff.tolist() == [0.2]


def test_legacy_shape_comes_before_shape_as_in_caffe() -> None:
    blob = BlobProto(num=1, channels=2, height=1, width=3, shape=BlobShape(dim=[6]), data=range(6))
    assert blob_shape(blob) == (1, 2, 1, 3)
    assert blob_array(blob).tolist() == [[[[0, 1, 2]], [[3, 4, 5]]]]


def test_no_axis_is_a_single_number() -> None:
    array = blob_array(BlobProto(data=[3]))
    assert array.shape == ()
    assert array.tolist() == 3


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (BlobProto(), "w has the shape of a single number, 1 numbers, but holds 0 in data"),
        (
            BlobProto(shape=BlobShape(dim=[2, 3]), data=[1]),
            "w has the shape 2 × 3, 6 numbers, but holds 1 in data",
        ),
        (
            BlobProto(num=2, double_data=[1]),
            "w has the shape 2 × 0 × 0 × 0, 0 numbers, but holds 1 in double_data",
        ),
        (
            BlobProto(shape=BlobShape(dim=[-1, -1]), data=[1]),
            "w has the shape -1 × -1: no length may be negative",
        ),
        (
            BlobProto(num=-1, data=[1]),
            "w has the shape -1 × 0 × 0 × 0: no length may be negative",
        ),
        (
            BlobProto(shape=BlobShape(dim=[0, 2**62])),
            "w has the shape 0 × 4611686018427387904: Caffe knows 2,147,483,647 elements at most",
        ),
        (
            BlobProto(shape=BlobShape(dim=[2**16, 2**15]), data=[1]),
            "w has the shape 65536 × 32768: Caffe knows 2,147,483,647 elements at most",
        ),
        (BlobProto(shape=BlobShape(dim=[1] * 1000), data=[1]), "w has 1,000 axes: Caffe knows 32 at most"),
    ],
)
def test_shapes_that_do_not_hold(blob: BlobProto, message: str) -> None:
    with pytest.raises(InputError) as error:
        blob_array(blob, "w")
    assert str(error.value) == message


def test_a_gradient_has_the_shape_too() -> None:
    with pytest.raises(InputError) as error:
        blob_diff(BlobProto(shape=BlobShape(dim=[2]), data=[1, 2], diff=[1]))
    assert str(error.value) == "blob has the shape 2, 2 numbers, but holds 1 in diff"


@pytest.mark.parametrize("kind", ["f4", ">f4", "f8", ">f8", "f2", "u1", "i8", "?"])
def test_arrays_there_and_back(kind: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(kind).transpose(2, 0, 1)
    blob = array_blob(array, diff=array[::-1])
    field = "double_data" if kind.endswith("f8") else "data"
    assert len(getattr(blob, field)) == 24
    assert {d.name for d, _ in blob.ListFields()} == {"shape", field, field.replace("data", "diff")}
    assert blob_array(blob).tolist() == array.tolist()
    diff = blob_diff(blob)
    assert diff is not None
    assert diff.tolist() == array[::-1].tolist()


@pytest.mark.parametrize("array", [np.float32(2.5), np.zeros((0, 3), np.float32), np.zeros((2, 0)), [1, 2]])
def test_arrays_that_are_special(array: Any) -> None:
    back = blob_array(array_blob(array))
    assert back.shape == np.shape(array)
    assert back.tolist() == np.asarray(array).tolist()


def test_too_many_axes_or_elements() -> None:
    with pytest.raises(InputError, match="array has 33 axes: Caffe knows 32 at most"):
        array_blob(np.zeros(1).reshape([1] * 33))
    vast = np.broadcast_to(np.float32(1), (2**15, 2**15))
    with pytest.raises(InputError, match=r"array has 4,294,967,296 bytes: Caffe knows 2,147,483,647 at most"):
        array_blob(vast)


# group 99 with fields 5 in it, a varint 98, eight bytes 97, four bytes 96, a string 95
UNKNOWN = (
    b"\x9b\x06\x2d\0\0\0\0\x2a\x01\x05\x9c\x06"
    b"\x90\x06\xff\x01"
    b"\x89\x06\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a"
    b"\x85\x06\x2a\x2a\x2a\x2a"
    b"\xfa\x05\x03\x2a\x01\x05"
)


def test_the_place_of_a_packed_field() -> None:
    assert packed_start(5, b"\x2a\x04abcd") == 2
    assert packed_start(5, UNKNOWN + b"\x32\x01x" + b"\x2a\x80\x01" + b"a" * 128) == len(UNKNOWN) + 6


def test_numbers_by_either_way() -> None:
    blob = BlobProto(num=300, shape=BlobShape(dim=[200]))
    for field in ("data", "diff", "double_data", "double_diff"):
        getattr(blob, field).extend(range(len(field), 200))
    blob.MergeFromString(UNKNOWN)
    for field in ("data", "diff", "double_data", "double_diff"):
        assert numbers(blob, field).tolist() == list(range(len(field), 200))
        assert numbers_by_wire(blob, field).tolist() == list(range(len(field), 200))
    assert numbers_by_wire(BlobProto(), "data").size == 0
