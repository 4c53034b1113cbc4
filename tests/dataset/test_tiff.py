import struct

import pytest

from batchbrew.dataset.tiff import (
    BITS_PER_SAMPLE,
    LENGTH,
    ORIENTATION,
    WIDTH,
    first_fields,
    orientation,
    upright,
)


def block(order: str, *fields: tuple[int, int, int, bytes], behind: bytes = b"") -> bytes:
    """A TIFF of one directory; a field is its tag, type, count and four bytes of value."""
    begin = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(fields))
    return begin + b"".join(struct.pack(order + "HHI", *field[:3]) + field[3] for field in fields) + behind


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_are_read_where_they_are(order: str) -> None:
    width = (WIDTH, 3, 1, struct.pack(order + "HH", 640, 0))
    length = (LENGTH, 4, 1, struct.pack(order + "I", 70000))
    # three shorts do not fit: behind 2 + 3 × 12 bytes of directory
    bits = (BITS_PER_SAMPLE, 3, 3, struct.pack(order + "I", 8 + 2 + 3 * 12))
    data = block(order, width, length, bits, behind=struct.pack(order + "HHH", 16, 17, 18))
    assert first_fields(data, (WIDTH, LENGTH, BITS_PER_SAMPLE)) == {
        WIDTH: 640,
        LENGTH: 70000,
        BITS_PER_SAMPLE: 16,
    }


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_read_and_taken_away(order: str) -> None:
    data = block(order, (ORIENTATION, 3, 1, struct.pack(order + "HH", 6, 0)), behind=b"the rest")
    assert orientation(data) == 6
    assert orientation(upright(data)) == 1
    assert len(upright(data)) == len(data)
    assert upright(data).endswith(b"the rest")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0" + struct.pack("<IH", 8, 65535),
        block("<", (ORIENTATION, 3, 1, struct.pack("<HH", 9, 0))),
        block("<", (ORIENTATION, 3, 1, struct.pack("<HH", 0, 0))),
        block("<", (ORIENTATION, 2, 1, b"\6\0\0\0")),
        block("<", (ORIENTATION, 3, 2**32 - 1, b"\xff\xff\xff\x7f")),
    ],
)
def test_damaged_ones_say_nothing(data: bytes) -> None:
    assert orientation(data) == 1
