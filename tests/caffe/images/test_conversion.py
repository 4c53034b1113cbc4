"""Real pycaffe converts the same arrays and messages."""

from typing import Any, cast

import cv2
import numpy as np
import pytest

from batchbrew.caffe import io
from batchbrew.caffe.images.conversion import ArrayError
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from tests.conftest import RunCaffe

ORACLE = """
import json, sys
import numpy as np
import caffe
given, found = np.load(sys.argv[1]), {}
texts = {}
for name in given.files:
    array = given[name]
    blob = caffe.io.array_to_blobproto(array, array * 2)
    texts[name] = blob.SerializeToString().hex()
    found[name + " data"] = caffe.io.blobproto_to_array(blob)
    found[name + " diff"] = caffe.io.blobproto_to_array(blob, True)
    if array.ndim == 3:
        datum = caffe.io.array_to_datum(array, 7)
        texts[name + " datum"] = datum.SerializeToString().hex()
        found[name + " datum"] = caffe.io.datum_to_array(datum)
texts["list"] = caffe.io.arraylist_to_blobprotovector_str([given[name] for name in given.files]).hex()
old = caffe.proto.caffe_pb2.BlobProto(num=1, channels=2, height=1, width=3, data=[1, 2, 3, 4, 5, 6.5])
found["old"] = caffe.io.blobproto_to_array(old)
np.savez(sys.argv[2], **found)
print(json.dumps(texts))
"""


def test_messages_and_arrays_are_those_of_pycaffe(run_caffe: RunCaffe, tmp_path: Any) -> None:
    chance = np.random.default_rng(6)
    arrays: dict[str, Any] = {
        "image": chance.integers(0, 256, (3, 4, 5)).astype(np.uint8),
        "floats": chance.normal(size=(2, 3, 4)).astype(np.float32),
        "doubles": chance.normal(size=(2, 1, 3, 2, 2)),
        "line": np.arange(5),
        "one": np.array(3.5),
        "none": np.zeros((0, 3)),
    }
    np.savez(tmp_path / "given.npz", **arrays)
    texts = run_caffe(ORACLE, tmp_path / "given.npz", tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        for name, array in arrays.items():
            blob = io.array_to_blobproto(array, array * 2)
            # a number alone: BlobProto.shape is there, and empty, where pycaffe leaves it out
            assert name == "one" or blob.SerializeToString().hex() == texts[name]
            for part in ("data", "diff"):
                ours, real = io.blobproto_to_array(blob, part == "diff"), found[f"{name} {part}"]
                assert ours.dtype == real.dtype == np.float64
                assert ours.shape == real.shape
                assert (ours == real).all()
            if array.ndim == 3:
                datum = io.array_to_datum(array, 7)
                assert datum.SerializeToString().hex() == texts[f"{name} datum"]
                back = io.datum_to_array(datum)
                assert back.dtype == found[f"{name} datum"].dtype
                assert (back == found[f"{name} datum"]).all()
        old = pb.BlobProto(num=1, channels=2, height=1, width=3, data=[1, 2, 3, 4, 5, 6.5])
        assert io.blobproto_to_array(old).shape == found["old"].shape == (1, 2, 1, 3)
    listed = [array for name, array in arrays.items() if name != "one"]
    again = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str(listed))
    assert all((one.astype(np.float32) == back).all() for one, back in zip(listed, again, strict=True))
    assert [a.shape for a in io.blobprotovector_str_to_arraylist(bytes.fromhex(texts["list"]))] == [
        array.shape for array in arrays.values()
    ]


def test_encoded_images_are_decoded() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    assert (io.datum_to_array(pb.Datum(encoded=True, data=data)) == pixels.transpose(2, 0, 1)).all()


def test_arrays_of_bytes_can_be_written_to() -> None:
    array = io.datum_to_array(pb.Datum(channels=1, height=1, width=2, data=b"ab"))
    array[0, 0, 0] = 5
    assert array.tolist() == [[[5, 98]]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: io.array_to_datum(np.zeros((2, 2))), r"an array of shape \(2, 2\) is not that"),
        (lambda: io.array_to_datum(np.zeros((1, 2, 2)), cast(int, 1.5)), "label is a whole number"),
        (lambda: io.array_to_datum(np.zeros((1, 2, 2)), 2**31), "below 2"),
        (lambda: io.array_to_blobproto(np.zeros(2), np.zeros(3)), r"diff has shape \(3,\)"),
        (lambda: io.datum_to_array(pb.Datum(channels=3, height=2, width=2, data=b"abc")), "has 3 numbers"),
        (lambda: io.datum_to_array(pb.Datum(channels=-1, height=-3, width=1, data=b"abc")), "-1×-3×1"),
        (lambda: io.blobproto_to_array(pb.BlobProto(num=2, data=[1])), "has 1 numbers, its shape is 2×0×0×0"),
        (lambda: io.blobproto_to_array(pb.BlobProto(data=[1]), True), "blob's diff has 0 numbers"),
    ],
)
def test_what_does_not_fit(call: Any, words: str) -> None:
    with pytest.raises(ArrayError, match=words):
        call()


def test_damaged_messages_are_refused() -> None:
    with pytest.raises(InputError, match="no BlobProtoVector"):
        io.blobprotovector_str_to_arraylist(b"\xff\xff\xff")
    with pytest.raises(InputError, match="encoded image is not a JPEG"):
        io.datum_to_array(pb.Datum(encoded=True, data=b"abc"))
    shape = pb.BlobShape(dim=[2**40, 2**40])
    with pytest.raises(InputError, match="1099511627776"):
        io.blobproto_to_array(pb.BlobProto(shape=shape, data=[1]))
