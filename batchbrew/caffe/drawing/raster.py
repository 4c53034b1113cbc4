"""A drawing as pixels: PNG and what else OpenCV writes."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.drawing.layout import LINE_HEIGHT, Drawing, Point, scaled
from batchbrew.caffe.drawing.outlines import head, outline
from batchbrew.errors import InputError

RASTER_FORMATS = ("png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp")

MAX_SIDE = 16_383  # WebP's; and what viewers open without trouble
MAX_PIXELS = 2**26
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.42
SMALLEST_TEXT = 0.25  # of the font's size; below that it cannot be read
SHIFT = 4  # OpenCV's lines are drawn to a sixteenth of a pixel
BLACK, WHITE = (0, 0, 0), (255, 255, 255)

Canvas = NDArray[np.uint8]


def raster_picture(drawing: Drawing, kind: str) -> bytes:
    """An image file of format `kind`, one of RASTER_FORMATS; a large graph is made smaller.

    Raises InputError if it cannot be encoded.
    """
    fit = min(MAX_SIDE / drawing.width, MAX_SIDE / drawing.height)
    factor = min(1.0, fit, math.sqrt(MAX_PIXELS / (drawing.width * drawing.height)))
    small = scaled(drawing, factor)
    canvas: Canvas = np.full((max(1, int(small.height)), max(1, int(small.width)), 3), 255, np.uint8)
    for line in small.lines:
        cv2.polylines(canvas, [_fixed(line.points)], False, BLACK, 1, cv2.LINE_AA, SHIFT)
        cv2.fillPoly(canvas, [_fixed(head(line, factor))], BLACK, cv2.LINE_AA, SHIFT)
        if line.label:
            (x, y), (next_x, next_y) = line.points[:2]
            _write(canvas, line.label, (x + next_x) / 2, (y + next_y) / 2 - 8 * factor, factor)
    for box in small.boxes:
        corners = [_fixed(outline(box))]
        cv2.fillPoly(canvas, corners, _bgr(box.fillcolor), cv2.LINE_AA, SHIFT)
        cv2.polylines(canvas, corners, True, BLACK, 1, cv2.LINE_AA, SHIFT)
        first = box.y - (len(box.lines) - 1) / 2 * LINE_HEIGHT * factor
        for index, text in enumerate(box.lines):
            _write(canvas, text, box.x, first + index * LINE_HEIGHT * factor, factor)
    try:
        done, data = cv2.imencode(f".{kind}", canvas)
    except cv2.error as error:
        raise InputError(f"the graph cannot be written as {kind}: {' '.join(str(error).split())}") from error
    if not done:
        raise InputError(f"the graph cannot be written as {kind}: OpenCV does not encode it; choose png")
    return data.tobytes()


def _fixed(points: Sequence[Point]) -> NDArray[np.int32]:
    fixed: NDArray[np.int32] = np.round(np.array(points) * 2**SHIFT).astype(np.int32)
    return fixed


def _bgr(colour: str) -> tuple[int, int, int]:
    """Of "#RRGGBB"."""
    red, green, blue = bytes.fromhex(colour[1:])
    return blue, green, red


def _write(canvas: Canvas, text: str, x: float, y: float, factor: float) -> None:
    """Put `text` in the middle of x and y. OpenCV's letters are ASCII's."""
    if factor < SMALLEST_TEXT:
        return
    printable = "".join(character if " " <= character <= "~" else "?" for character in text)
    (width, height), _ = cv2.getTextSize(printable, FONT, FONT_SCALE * factor, 1)
    corner = (round(x - width / 2), round(y + height / 2))
    cv2.putText(canvas, printable, corner, FONT, FONT_SCALE * factor, BLACK, 1, cv2.LINE_AA)
