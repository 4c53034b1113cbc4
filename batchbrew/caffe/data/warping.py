"""How WindowData cuts a box out of an image: with its surroundings, warped to a square of crop_size pixels.

All is computed in float32 and rounded as in window_data_layer.cpp, since a pixel more or less changes all others.
"""

from typing import NamedTuple

import numpy as np

from batchbrew.caffe.data.image_list import resized
from batchbrew.caffe.data.window_file import Window
from batchbrew.dataset.images import Image, ImageError

Float = np.float32


class Cut(NamedTuple):
    """What is cut out of the image (corners included), the size to which it is scaled, and where it is put."""

    x1: int
    y1: int
    x2: int
    y2: int
    width: int
    height: int
    left: int
    top: int


def cut_out(
    image: Image, window: Window, side: int, context: int, square: bool, mirror: bool
) -> tuple[Image, Cut]:
    """The box of `image` (H×W×3), scaled and perhaps mirrored, and where in the square it belongs.

    `context`: pixels of surroundings on each side of the square; `square` keeps the aspect ratio. Raises ImageError
    if the box is not in the image.
    """
    height, width = image.shape[:2]
    cut = None
    if window.x1 <= window.x2 and window.y1 <= window.y2:
        cut = _plan(window, (height, width), side, context, square, mirror)
    if cut is None or not (0 <= cut.x1 <= cut.x2 < width and 0 <= cut.y1 <= cut.y2 < height):
        corners = f"({window.x1}, {window.y1}) to ({window.x2}, {window.y2})"
        raise ImageError(f"is {width} wide and {height} high: the window {corners} is not in it")
    if cut.width < 1 or cut.height < 1:
        raise ImageError(
            f"has next to nothing of the window ({window.x1}, {window.y1}) to ({window.x2}, {window.y2})"
        )
    part = resized(image[cut.y1 : cut.y2 + 1, cut.x1 : cut.x2 + 1], cut.height, cut.width)
    return (part[:, ::-1] if mirror else part), cut


def _plan(window: Window, size: tuple[int, int], side: int, context: int, square: bool, mirror: bool) -> Cut:
    x1, y1, x2, y2 = window[2:]
    if not (context or square):
        return Cut(x1, y1, x2, y2, side, side, 0, 0)
    grow = Float(side) / Float(side - 2 * context)
    half_width, half_height = Float(x2 - x1 + 1) / Float(2), Float(y2 - y1 + 1) / Float(2)
    centre_x, centre_y = Float(x1) + half_width, Float(y1) + half_height
    if square:
        half_width = half_height = max(half_width, half_height)
    x1, x2, width, left, right = _along(centre_x, half_width * grow, size[1], side)
    y1, y2, height, top, _ = _along(centre_y, half_height * grow, size[0], side)
    if mirror:
        left = right
    return Cut(x1, y1, x2, y2, min(width, side - left), min(height, side - top), left, top)


def _along(centre: Float, half: Float, length: int, side: int) -> tuple[int, int, int, int, int]:
    """On one axis: first and last pixel, clipped to the image; how long they become; what is empty on both sides."""
    first, last = _round(centre - half), _round(centre + half)
    scale = Float(side) / Float(last - first + 1)
    before, behind = max(0, -first), max(0, last - length + 1)
    first, last = first + before, last - behind
    scaled = _round(Float(last - first + 1) * scale)
    return first, last, scaled, _round(Float(before) * scale), _round(Float(behind) * scale)


def _round(value: Float) -> int:
    """Halves away from zero, as C does."""
    return int(np.copysign(np.floor(abs(float(value)) + 0.5), value))
