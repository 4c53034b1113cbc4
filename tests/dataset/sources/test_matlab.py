import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from batchbrew.dataset.sources import matlab
from batchbrew.dataset.sources.matlab import read_structs
from tests.dataset.sources.kits import FIELDS, INNER, SYNSETS, meta_mat

WANTED = FIELDS[:2]
DAMAGE = (ValueError, OverflowError, struct.error, zlib.error)


def saved(variables: dict[str, Any], **options: bool) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, **options)
    return file.getvalue()


WHOLE = saved({"it": {"a": 1, "b": "x"}}, do_compression=False)
LONGER = WHOLE[:132] + struct.pack("<I", len(WHOLE) - 136 + 8) + WHOLE[136:]
"""The same, but the array is said to have 8 bytes more than there are."""


@pytest.mark.parametrize("compressed", [False, True])
def test_structs_are_those_that_scipy_reads(compressed: bool) -> None:
    data = meta_mat(compressed=compressed)
    theirs = loadmat(io.BytesIO(data), squeeze_me=True)["synsets"]
    rows = read_structs(data, "synsets", ("words", *WANTED, "num_children"))
    assert rows == [tuple(row[name] for name in ("words", *WANTED, "num_children")) for row in theirs]
    assert [row[1:3] for row in rows] == [*enumerate(SYNSETS, start=1), *INNER]


@pytest.mark.parametrize("number", [np.uint8(7), np.int16(-7), np.uint16(7), np.int64(7), np.float32(7.5), 7])
def test_numbers_of_any_type(number: Any) -> None:
    others = {"before": np.arange(5000), "text": "x"}
    data = saved({**others, "it": {"a": number, "b": "ä€𝄞", "rest": [np.zeros((3, 3)), {"c": 1}]}})
    assert read_structs(data, "it", ("b", "a")) == [("ä€𝄞", number)]


def test_compressed_variables_follow_each_other_without_a_gap() -> None:
    for size in range(40):
        noise = np.random.default_rng(size).integers(0, 256, size + 1, dtype=np.uint8)
        data = saved({"before": noise, "it": {"a": size, "b": "x"}}, do_compression=True)
        assert read_structs(data, "it", ("a",)) == [(size,)]


def test_texts_of_two_bytes_and_big_endian_files() -> None:
    """As MATLAB itself, and other machines, write them: put together by hand."""
    for order in "<>":

        def element(kind: int, content: bytes, order: str = order) -> bytes:
            return struct.pack(order + "II", kind, len(content)) + content + bytes(-len(content) % 8)

        def array(
            kind: int, *rest: bytes, name: bytes = b"", order: str = order, element: Any = element
        ) -> bytes:
            flags = struct.pack(order + "II", kind, 0)
            return bytes(
                element(
                    14,
                    element(6, flags)
                    + element(5, struct.pack(order + "ii", 1, 1))
                    + element(1, name)
                    + b"".join(rest),
                )
            )

        text = array(4, element(4, "n0Ω".encode("utf-16-le" if order == "<" else "utf-16-be")))
        number = array(6, element(9, struct.pack(order + "d", 490)))
        small = struct.pack(
            order + "Ii", 4 << 16 | 5, 2
        )  # the length of the fields' names, in a small element
        data = array(2, small, element(1, b"a\0b\0"), text, number, name=b"it")
        version = b"\0\1IM" if order == "<" else b"\1\0MI"
        assert read_structs(bytes(124) + version + data, "it", ("b", "a")) == [(490.0, "n0Ω")]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no MAT-file of level 5"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF", "no MAT-file of level 5"),
        (saved({"other": 1}), "has no variable it"),
        (saved({"it": 1}), "it is no array of structs"),
        (saved({"it": {"a": 1}}), "it has no field b"),
        (saved({"it": {"a": [1, 2], "b": 1}}), "neither a number nor a text"),
        (saved({"it": {"a": {"c": 1}, "b": 1}}), "neither a number nor a text"),
        (saved({"it": {"a": np.arange(2000), "b": 1}}), "16,000 bytes of type 12 for numbers"),
        (saved({"it": {"a": 1, "b": "x"}})[:-8], "cut off"),
        (saved({"it": 1})[:128] + struct.pack("<II", 15, 0), "has no variable it"),
        (saved({"it": 1})[:128] + struct.pack("<IQ", 5 << 16 | 14, 0), "a small element of 5 bytes"),
        (LONGER, "cut off"),
    ],
)
def test_files_that_cannot_be_used(data: bytes, complaint: str) -> None:
    with pytest.raises(DAMAGE) as caught:
        read_structs(data, "it", ("a", "b"))
    assert complaint in str(caught.value)


def test_a_file_that_would_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "MAX_UNPACKED_BYTES", 2**22)
    squeezed = zlib.compress(bytes(5 * 2**20))
    bomb = meta_mat()[:128] + struct.pack("<II", 15, len(squeezed)) + squeezed
    with pytest.raises(ValueError, match="unpacks to 4,194,304 bytes or more"):
        read_structs(bomb, "synsets", WANTED)


def test_damaged_files_raise_and_no_more() -> None:
    dice = random.Random(2)
    for _ in range(400):
        data = bytearray(meta_mat(compressed=dice.random() < 0.2))
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            read_structs(bytes(data), "synsets", WANTED)
        except DAMAGE:
            continue
