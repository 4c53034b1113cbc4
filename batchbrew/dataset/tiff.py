"""The fields of a TIFF's first directory; an EXIF block is one, too."""

import struct
from collections.abc import Collection

START = (b"II*\0", b"MM\0*")
WIDTH, LENGTH, BITS_PER_SAMPLE, ORIENTATION, SAMPLES_PER_PIXEL = 256, 257, 258, 274, 277
SHORT, LONG = 3, 4


def first_fields(block: bytes, tags: Collection[int]) -> dict[int, int]:
    """The first number of each of the fields `tags` that is there and is whole numbers. Never raises."""
    return {tag: number for tag, (number, _) in _found(block, tags).items()}


def _found(block: bytes, tags: Collection[int]) -> dict[int, tuple[int, int]]:
    """The same with the offset of each number."""
    found: dict[int, tuple[int, int]] = {}
    if block[:4] not in START:
        return found
    order = _order(block)
    try:
        (directory,) = struct.unpack_from(order + "I", block, 4)
        (fields,) = struct.unpack_from(order + "H", block, directory)
        for index in range(fields):
            at = directory + 2 + 12 * index
            tag, kind, count = struct.unpack_from(order + "HHI", block, at)
            if tag not in tags or kind not in (SHORT, LONG):
                continue
            place = at + 8
            if count * (2 if kind == SHORT else 4) > 4:  # they are elsewhere
                (place,) = struct.unpack_from(order + "I", block, place)
            (number,) = struct.unpack_from(order + ("H" if kind == SHORT else "I"), block, place)
            found[tag] = number, place
    except struct.error:  # an offset beyond the end
        pass
    return found


def _order(block: bytes) -> str:
    return "<" if block[:2] == b"II" else ">"


def orientation(block: bytes) -> int:
    """How the picture has to be turned, 1 (it is upright) to 8, as EXIF 2.3, section 4.6.4, numbers them."""
    found = first_fields(block, (ORIENTATION,)).get(ORIENTATION, 1)
    return found if 1 <= found <= 8 else 1


def upright(block: bytes) -> bytes:
    """The same file with an orientation of 1: OpenCV turns a TIFF whatever it is asked."""
    number, place = _found(block, (ORIENTATION,)).get(ORIENTATION, (1, 0))
    if number == 1:
        return block
    return block[:place] + struct.pack(_order(block) + "H", 1) + block[place + 2 :]
