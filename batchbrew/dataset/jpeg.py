"""The skeleton of a JPEG file: its size and form, and whether it is there to its end (ISO/IEC 10918-1, annex B)."""

import re
from dataclasses import dataclass

from batchbrew.dataset.tiff import orientation

START = b"\xff\xd8"
END = b"\xff\xd9"
END_OF_IMAGE = 0xD9
START_OF_SCAN = 0xDA
EXIF, ADOBE = 0xE1, 0xEE  # APP1, APP14
# SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC), which lie between them.
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2  # Huffman-coded; every decoder has them
STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
# In a scan's data a 0xFF byte is followed by 0 (stuffing) or a restart marker; anything else ends the scan.
# Without a repeated 0xFF in the pattern the search takes 0.1 ms instead of 2.
SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass
class JpegSkeleton:
    """What the markers say. Width and height are 0 when there is no frame header."""

    width: int = 0
    height: int = 0
    end: int | None = None
    """Offset of an end-of-image marker behind the picture; None in a truncated file."""
    frame: int = 0
    """The frame header's marker: how the picture is coded."""
    precision: int = 0
    components: int = 0
    adobe: bool = False
    """Whether there is Adobe's marker: then CMYK is stored inverted, 255 for no ink."""
    orientation: int = 1
    scan: int = 0
    """Offset of the first scan's data."""
    one_scan: bool = False
    """Whether the first scan has all the components at once, in full: a decoder then goes row by row."""


def read_skeleton(data: bytes) -> JpegSkeleton:
    """Walk the markers of a file that begins with `START`. Never raises: what is missing is left out.

    OpenCV before 4.10 or so returns a truncated JPEG as a whole image whose lower part is grey, and prints
    nothing; so the end-of-image marker is looked for here. It has to be found by walking: an embedded
    thumbnail has one of its own.
    """
    found = JpegSkeleton()
    position = len(START)
    while True:
        marker_at = data.find(b"\xff", position)
        if marker_at < 0 or marker_at + 1 >= len(data):
            return found
        marker = data[marker_at + 1]
        position = marker_at + 1 if marker == 0xFF else marker_at + 2
        if marker == END_OF_IMAGE:
            found.end = marker_at
            return found
        if marker in STANDALONE or marker in (0x00, 0xFF):
            continue
        length = max(int.from_bytes(data[position : position + 2], "big"), 2)
        _note(found, marker, data, position, length)
        position += length
        if marker == START_OF_SCAN:
            if found.one_scan and data.endswith(END):
                # No other scan has to come; searching a large file for its first end would take longer.
                found.end = len(data) - len(END)
                return found
            scan_end = SCAN_END.search(data, position)
            if scan_end is None:
                return found
            position = scan_end.start()


def _note(found: JpegSkeleton, marker: int, data: bytes, position: int, length: int) -> None:
    """Keep what a segment says; `position` is that of its length."""
    if marker in START_OF_FRAME and not found.width:
        found.frame = marker
        found.precision = int.from_bytes(data[position + 2 : position + 3], "big")
        found.height = int.from_bytes(data[position + 3 : position + 5], "big")
        found.width = int.from_bytes(data[position + 5 : position + 7], "big")
        found.components = int.from_bytes(data[position + 7 : position + 8], "big")
    elif marker == ADOBE and data[position + 2 : position + 7] == b"Adobe":
        found.adobe = True
    elif marker == START_OF_SCAN and not found.scan:
        found.scan = position + length
        whole = data[position + 2 : position + 3] == bytes([found.components])
        found.one_scan = whole and found.frame in (BASELINE, EXTENDED)
    elif marker == EXIF and data[position + 2 : position + 8] == b"Exif\0\0" and found.orientation == 1:
        found.orientation = orientation(data[position + 8 : position + length])


def with_filler_before_end(data: bytes, skeleton: JpegSkeleton) -> bytes:
    """The same file, which has an end, with some more coded data before its end marker.

    A decoder that has all the pixels ignores them (libjpeg prints a warning); one that ran out of data early draws
    something else. So two decodings that differ show a file that was cut and had its end marker put back.
    """
    end = skeleton.end
    if skeleton.one_scan:  # it may be another's end, of a picture behind this one
        first = SCAN_END.search(data, skeleton.scan)
        end = first.start() if first is not None else end
    assert end is not None
    return data[:end] + b"\x5a\xc3\x96\x3c" * 16 + data[end:]
