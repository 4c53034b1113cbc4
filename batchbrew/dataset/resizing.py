"""The size of a stored picture, and the scaling to it (docs/lmdb_images.md has the measurements).

Shrinking to less than half takes INTER_AREA, the mean over all source pixels that fall into a new one. Shrinking
to more takes INTER_CUBIC behind a filter of five taps that keeps out what would alias; the two together come as near to
Lanczos's filter (three lobes) as five taps can, which is nearer than INTER_AREA, in a third of its time.
Enlarging takes INTER_CUBIC, since bilinear blurs.
"""

import functools
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import Image, ImageError

MAX_RESIZED_SIDE = 16_384  # JPEG itself ends at 65,535
BLACK = 0
FILTERED_BELOW = 2.0  # times smaller: from there on the mean over pixels is as good
RATIO_STEPS = 64  # a filter for each 64th of a ratio
COEFFICIENT_STEPS = 1024  # coefficients are multiples of 1/1024, so that every machine has the same
PHASES = 8  # places of a new pixel between two old ones, over which a filter is the best
REACH = 8  # old pixels to either side of a new one that count
NEIGHBOURS = 0.95  # correlation of neighbouring pixels in photographs


class Geometry(NamedTuple):
    """Width and height of the scaled picture, and of what is stored of it: a part of it, or more than it."""

    scaled: tuple[int, int]
    stored: tuple[int, int]


def plan(width: int, height: int, options: ImageOptions) -> Geometry:
    """What becomes of a picture of that size. Long sides are rounded to the nearest pixel, halves up.

    Raises ImageError if the picture is so narrow that its long side would be absurd.
    """
    side, square = options.side, (options.side, options.side)
    short, long = min(width, height), max(width, height)
    if options.mode == "squash":
        return Geometry(square, square)
    if options.mode == "pad":
        if long < side and not options.enlarge:
            return Geometry((width, height), square)
        other = max(1, rounded(short * side, long))
        return Geometry((side, other) if width >= height else (other, side), square)
    if options.mode == "none" or (options.mode == "short" and short < side and not options.enlarge):
        return Geometry((width, height), (width, height))
    other = rounded(long * side, short)
    if other > MAX_RESIZED_SIDE:
        raise ImageError(f"is {width}×{height}: with a short side of {side} the other would be {other}")
    scaled = (side, other) if width <= height else (other, side)
    return Geometry(scaled, square if options.mode == "crop" else scaled)


def rounded(number: int, divisor: int) -> int:
    """The quotient as the nearest whole number, halves up."""
    return (2 * number + divisor) // (2 * divisor)


def fit(image: Image, geometry: Geometry) -> Image:
    """Scale an H×W or H×W×3 picture, and cut out its middle or lay it on black, as planned."""
    image = scale(image, *geometry.scaled)
    width, height = geometry.stored
    if image.shape[0] > height or image.shape[1] > width:
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        image = image[top : top + height, left : left + width]
    elif image.shape[:2] != (height, width):
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        canvas = np.full((height, width, *image.shape[2:]), BLACK, np.uint8)
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
        image = canvas
    return image


def scale(image: Image, width: int, height: int) -> Image:
    """An H×W or H×W×3 picture in another size."""
    ratios = image.shape[1] / width, image.shape[0] / height
    if ratios == (1, 1):
        return image
    if min(ratios) < 1 < max(ratios):  # first what makes it smaller
        between = (min(image.shape[1], width), min(image.shape[0], height))
        return scale(scale(image, *between), width, height)
    if max(ratios) >= FILTERED_BELOW:
        return _resized(image, width, height, cv2.INTER_AREA)
    if max(ratios) > 1:
        across, down = (_prefilter(round(ratio * RATIO_STEPS)) for ratio in ratios)
        image = cast(Image, cv2.sepFilter2D(image, -1, across, down, borderType=cv2.BORDER_REPLICATE))
    return _resized(image, width, height, cv2.INTER_CUBIC)


def _resized(image: Image, width: int, height: int, interpolation: int) -> Image:
    return cast(Image, cv2.resize(image, (width, height), interpolation=interpolation))


@functools.cache
def _prefilter(ratio_steps: int) -> NDArray[np.float32]:
    """Five taps b, a, 1-2a-2b, a, b before INTER_CUBIC, for a picture ratio_steps / RATIO_STEPS times as large.

    a and b are those of least squares: the difference between these taps and the cubic together, and Lanczos's,
    on pixels that are correlated as those of photographs are, over all places of a new pixel between two old ones.
    """
    ratio = ratio_steps / RATIO_STEPS
    if ratio <= 1:
        return np.array([0, 0, 1, 0, 0], np.float32)
    at = np.arange(-REACH, REACH + 1)[:, np.newaxis] - (np.arange(PHASES) + 0.5) / PHASES
    wanted = _lanczos(at / ratio)
    wanted /= wanted.sum(0)
    far, near, middle = (_cubic(at - shift) + _cubic(at + shift) for shift in (2, 1, 0))
    # What each coefficient adds to a new pixel's weights, given that all of them sum to 1.
    near, far, missing = near - middle, far - middle, wanted - middle / 2
    places = np.arange(len(at))
    correlation = NEIGHBOURS ** np.abs(places[:, np.newaxis] - places)

    def product(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
        return float((left * (correlation @ right)).sum())

    nn, nf, ff = product(near, near), product(near, far), product(far, far)
    nm, fm = product(near, missing), product(far, missing)
    determinant = nn * ff - nf * nf
    a, b = (
        round(COEFFICIENT_STEPS * value / determinant) / COEFFICIENT_STEPS
        for value in (ff * nm - nf * fm, nn * fm - nf * nm)
    )
    return np.array([b, a, 1 - 2 * a - 2 * b, a, b], np.float32)


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """OpenCV's INTER_CUBIC: Keys's kernel with a = -0.75."""
    a, t = -0.75, np.abs(x)
    inner = ((a + 2) * t - (a + 3)) * t * t + 1
    outer = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, inner, np.where(t < 2, outer, 0))
