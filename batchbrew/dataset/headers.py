"""Kind, size and form of an image from its file, before anything is decoded or allocated."""

import re
import struct
from typing import NamedTuple

from batchbrew.dataset import tiff
from batchbrew.dataset.jpeg import BASELINE, EXTENDED, PROGRESSIVE, START, JpegSkeleton, read_skeleton

MAX_CHUNKS = 100_000  # of a PNG; a picture of 100 megapixels has some thousands, a hostile file millions
SHORT_CHUNK = 65_536  # bytes of metadata that are kept
MAX_FRAMES = 1000  # of an animated WebP, before its metadata
PNG_CHANNELS = {
    0: 1,
    2: 3,
    3: 4,
    4: 4,
    6: 4,
}  # as decoded: a palette may have transparency, grey with alpha is BGRA


class Header(NamedTuple):
    """What a file says that it is; the sizes are in pixels and not yet to be believed."""

    kind: str
    width: int
    height: int
    jpeg: JpegSkeleton | None = None
    orientation: int = 1
    """How EXIF wants the picture turned, 1 (upright) to 8."""
    pixel_bytes: float = 3
    """Memory a pixel takes while the picture is decoded and reduced to 8 bits without transparency."""
    coefficient_bytes: float = 0
    """Likewise, but not made less by decoding at a reduced scale."""
    by_pillow: bool = False
    """Whether OpenCV cannot decode it, or not as what it is; in old versions, or in all."""
    whole: bool = True
    """False where the file ends before its parts do, as far as the kind shows that."""
    plain_channels: int = 0
    """1 or 3 where every decoder reads the file as 8 bits of that many channels, which are grey or colours."""


def read_header(data: bytes) -> Header | None:
    """The header of a JPEG, PNG, BMP, PNM, TIFF, WebP or GIF file, told by its content; None for other files.

    A width or height of 0 means that the header is damaged.
    """
    if data.startswith(START + b"\xff"):
        return _jpeg(data)
    padded = data[:64].ljust(64, b"\0")  # so that a field beyond the end reads as 0
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data, padded)
    if data.startswith(b"BM"):
        return Header("BMP", *_bmp_size(padded), pixel_bytes=3)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data, padded)
    if data[:4] in tiff.START:
        return _tiff(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", padded, 6)
        return Header("GIF", width, height, pixel_bytes=12, by_pillow=True)
    if re.match(rb"P[1-6]\s", data):
        return Header("PNM", *_pnm_size(data), pixel_bytes=9)
    return None


def _jpeg(data: bytes) -> Header:
    skeleton = read_skeleton(data)
    # Who cannot go row by row keeps all the coefficients, 16 bits each, until the last scan is there.
    buffered = 0 if skeleton.one_scan and skeleton.frame != PROGRESSIVE else 2 * skeleton.components
    plain = (
        skeleton.frame in (BASELINE, EXTENDED, PROGRESSIVE)
        and skeleton.precision == 8
        and skeleton.components in (1, 3)
    )
    return Header(
        "JPEG",
        skeleton.width,
        skeleton.height,
        skeleton,
        skeleton.orientation,
        pixel_bytes=1 if skeleton.components == 1 else 3,
        coefficient_bytes=buffered,
        by_pillow=skeleton.components == 4 and not skeleton.adobe,  # 255 is full ink, not none
        plain_channels=skeleton.components if plain else 0,
    )


def _png(data: bytes, padded: bytes) -> Header:
    width, height, depth, colours = struct.unpack_from(">IIBB", padded, 16)
    channels = PNG_CHANNELS.get(colours, 4)
    chunks, whole = _png_chunks(data)
    decoded = channels * (2 if depth == 16 else 1)
    reduced = 4 if decoded > channels else 0
    flattened = 3 if channels == 4 else 0
    return Header(
        "PNG",
        width,
        height,
        orientation=tiff.orientation(chunks.get(b"eXIf", b"")),
        pixel_bytes=decoded + reduced + flattened,
        whole=whole,
        plain_channels=channels if depth == 8 and colours in (0, 2) and b"tRNS" not in chunks else 0,
    )


def _png_chunks(data: bytes) -> tuple[dict[bytes, bytes], bool]:
    """The short chunks by name, and whether all that are announced are there; OpenCV allocates before it looks."""
    found: dict[bytes, bytes] = {}
    position = 8
    for _ in range(MAX_CHUNKS):
        length, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data) or len(name) < 4:
            return found, False
        if name == b"IEND":
            return found, True
        if length <= SHORT_CHUNK:
            found.setdefault(name, data[position + 8 : position + 8 + length])
        position = end
    return found, False


def _bmp_size(padded: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", padded, 14)[0] == 12:  # OS/2's header
        width, height = struct.unpack_from("<HH", padded, 18)
    else:
        width, height = struct.unpack_from("<ii", padded, 18)
    return max(width, 0), abs(height)  # a negative height means: rows from top to bottom


def _webp(data: bytes, padded: bytes) -> Header:
    flags = padded[20] if padded[12:16] == b"VP8X" else 0
    exif = _riff_chunk(data, b"EXIF") if flags & 0x08 else b""
    return Header(
        "WebP",
        *_webp_size(padded),
        orientation=tiff.orientation(exif.removeprefix(b"Exif\0\0")),
        pixel_bytes=12,
        by_pillow=bool(flags & 0x02),  # an animation
    )


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


def _riff_chunk(data: bytes, name: bytes) -> bytes:
    """The content of a RIFF's first chunk of that name, if it comes early enough; or nothing."""
    position = 12
    for _ in range(MAX_FRAMES):
        head = data[position : position + 8]
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        if head[:4] == name:
            return data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2  # a chunk begins at an even place
    return b""


def _tiff(data: bytes) -> Header:
    tags = (tiff.WIDTH, tiff.LENGTH, tiff.BITS_PER_SAMPLE, tiff.SAMPLES_PER_PIXEL)
    found = tiff.first_fields(data, tags)
    channels, bits = found.get(tiff.SAMPLES_PER_PIXEL, 1), found.get(tiff.BITS_PER_SAMPLE, 1)
    return Header(
        "TIFF",
        found.get(tiff.WIDTH, 0),
        found.get(tiff.LENGTH, 0),
        orientation=tiff.orientation(data),
        pixel_bytes=2 * max(3, channels) * max(1, bits / 8) + 7,  # a strip may be as large as the picture
        by_pillow=bits <= 8,  # OpenCV multiplies colours by alpha, and takes damaged strips for whole
    )


def _pnm_size(data: bytes) -> tuple[int, int]:
    text = re.sub(rb"#[^\n\r]*", b" ", data[:4096])
    numbers = re.match(rb"P[1-6]\s+([0-9]{1,9})\s+([0-9]{1,9})\s", text)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
