"""Kind and size of an image from the first bytes of its file, before anything is decoded or allocated."""

import re
import struct
from typing import NamedTuple

from batchbrew.dataset.jpeg import START, JpegSkeleton, read_skeleton


class Header(NamedTuple):
    """What a file says that it is; the sizes are in pixels and not yet to be believed."""

    kind: str
    width: int
    height: int
    jpeg: JpegSkeleton | None = None


def read_header(data: bytes) -> Header | None:
    """The header of a JPEG, PNG, BMP, PNM, TIFF or WebP file, told by its content; None for other files.

    A width or height of 0 means that the header is damaged.
    """
    if data.startswith(START + b"\xff"):
        skeleton = read_skeleton(data)
        return Header("JPEG", skeleton.width, skeleton.height, skeleton)
    padded = data[:64].ljust(64, b"\0")  # so that a field beyond the end reads as 0
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return Header("PNG", *struct.unpack_from(">II", padded, 16))
    if data.startswith(b"BM"):
        return Header("BMP", *_bmp_size(padded))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return Header("WebP", *_webp_size(padded))
    if data[:4] in (b"II*\0", b"MM\0*"):
        return Header("TIFF", *_tiff_size(data))
    if re.match(rb"P[1-6]\s", data):
        return Header("PNM", *_pnm_size(data))
    return None


def _bmp_size(padded: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", padded, 14)[0] == 12:  # OS/2's header
        width, height = struct.unpack_from("<HH", padded, 18)
    else:
        width, height = struct.unpack_from("<ii", padded, 18)
    return max(width, 0), abs(height)  # a negative height means: rows from top to bottom


def _webp_size(padded: bytes) -> tuple[int, int]:
    kind = padded[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(padded[24:27], "little"), 1 + int.from_bytes(padded[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(padded[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", padded, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def _tiff_size(data: bytes) -> tuple[int, int]:
    order = "<" if data[:2] == b"II" else ">"
    sizes = {256: 0, 257: 0}  # ImageWidth, ImageLength
    try:
        (directory,) = struct.unpack_from(order + "I", data, 4)
        (fields,) = struct.unpack_from(order + "H", data, directory)
        for index in range(fields):
            at = directory + 2 + 12 * index
            tag, kind = struct.unpack_from(order + "HH", data, at)
            if tag in sizes and kind in (3, 4):  # SHORT, LONG
                (sizes[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 8)
    except struct.error:  # an offset beyond the end of the file
        return 0, 0
    return sizes[256], sizes[257]


def _pnm_size(data: bytes) -> tuple[int, int]:
    text = re.sub(rb"#[^\n\r]*", b" ", data[:4096])
    numbers = re.match(rb"P[1-6]\s+([0-9]{1,9})\s+([0-9]{1,9})\s", text)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
