"""The usual record, quickly: a Datum of nothing but its numbers and a whole JPEG, decoded where it lies.

What is not usual in any way is left to `parse_datum` and `decode_stored`, which look at everything and say what is
wrong. Both give the same labels and pixels; what a record costs beside its decoding is a fifth here.
"""

from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew.dataset.images import MAX_PIXELS, has_grey_corner

BEGIN, END = b"\xff\xd8\xff", b"\xff\xd9"
SEQUENTIAL = frozenset((0xC0, 0xC1))  # frames of Huffman-coded pictures that are not progressive
START_OF_SCAN = 0xDA
CHANNELS, HEIGHT, WIDTH, DATA, LABEL, ENCODED = 0x08, 0x10, 0x18, 0x22, 0x28, 0x38  # tags in the wire format
NUMBERS = frozenset((CHANNELS, HEIGHT, WIDTH, LABEL, ENCODED))
MOST_BITS = 28  # of a number read here: four bytes; negative labels have ten


class StoredImage(NamedTuple):
    """An encoded image, a piece of the record that it was found in, and its label, None if it has none."""

    label: int | None
    data: memoryview


def stored_image(value: memoryview) -> StoredImage | None:
    """What is in the record, if that is an encoded image in the form that every Caffe tool writes."""
    numbers: dict[int, int] = {}
    image: memoryview | None = None
    at, end = 0, len(value)
    try:
        while at < end:
            tag, number, shift = value[at], value[at + 1], 7
            at += 2
            if number > 127:
                number &= 127
                while shift < MOST_BITS:
                    more = value[at]
                    at += 1
                    number |= (more & 127) << shift
                    shift += 7
                    if more < 128:
                        break
                else:
                    return None
            if tag == DATA:
                image = value[at : at + number]
                at += number
            elif tag in NUMBERS:
                numbers[tag] = number
            else:
                return None
    except IndexError:  # it ends within a number
        return None
    if at != end or image is None or numbers.get(ENCODED) != 1:
        return None
    return StoredImage(numbers.get(LABEL), image)


def decode_jpeg(data: memoryview, flags: int) -> NDArray[np.uint8] | None:
    """H×W×C pixels of a JPEG, as `cv2.imdecode` gives them for `flags`; None for what should be looked at closely.

    That is: other files, those that do not end with a JPEG's end, those that are not in one scan, very large or
    damaged, and those of which the last block was perhaps never drawn.
    """
    if data[:3] != BEGIN or data[-2:] != END or not 0 < _pixels_in_one_scan(data) <= MAX_PIXELS:
        return None
    try:
        image = cast(NDArray[np.uint8] | None, cv2.imdecode(np.frombuffer(data, np.uint8), flags))
    except cv2.error:
        return None
    if image is None or image.dtype != np.uint8 or has_grey_corner(image):
        return None
    return image if image.ndim == 3 else image[:, :, np.newaxis]


def _pixels_in_one_scan(data: memoryview) -> int:
    """Width by height, as the frame header says; 0 if the first scan has not all of the picture, or on any doubt."""
    at, pixels, components = 2, 0, 0
    try:
        while data[at] == 0xFF:
            marker = data[at + 1]
            if marker == START_OF_SCAN:
                return pixels if data[at + 4] == components else 0
            if marker in SEQUENTIAL:
                pixels = (data[at + 5] << 8 | data[at + 6]) * (data[at + 7] << 8 | data[at + 8])
                components = data[at + 9]
            at += 2 + (data[at + 2] << 8 | data[at + 3])
    except IndexError:
        pass
    return 0
