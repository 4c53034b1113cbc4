"""caffe.io.resize_image: an image to another size, with the numbers of scikit-image and SciPy.

pycaffe has these numbers from whatever scikit-image is installed, and that changed what it does: from 0.15 on
(2019) it blurs before it shrinks, unless told otherwise. Here the newer way is the default, and `anti_aliasing=False`
the older one. Against scikit-image 0.18.1 and SciPy 1.6.0 the same to 2e-7 of the image's range, but for

- order 0 where a new pixel's middle lies just between two old ones: there scikit-image's choice depends on the last
  bit of its arithmetic in double. In float32 images, what load_image gives, none was seen to differ;
- order 2, where by the same last bit a row or column is 0, or not, whose place is just the outermost old one;
- images of whole numbers with other than 1 or 3 channels, where one half may be rounded the other way;
- a new size of one row or one column, but not both, for which scikit-image's transform is degenerate.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from batchbrew.caffe.images import splines
from batchbrew.errors import InputError

Floats = NDArray[np.floating[Any]]

MAX_NUMBERS = 2**28  # of a resized image; 1 GB as float32
BLUR_REACH = 4  # standard deviations


class ImageShapeError(InputError, ValueError):
    """An image or a size that cannot be resized to; a ValueError, as scikit-image's."""


def resize_image(
    im: ArrayLike, new_dims: Sequence[int], interp_order: int = 1, *, anti_aliasing: bool = True
) -> NDArray[np.float32]:
    """`im` (H×W×K) at the size `new_dims` (height, width), float32.

    With 1 or 3 channels as scikit-image does it: order 0 nearest, 1 linear, 2 quadratic spline, 3 bicubic; what lies
    beyond the image counts as its smallest number, so edges are darkened. With other channels as
    scipy.ndimage.zoom: the outermost pixels stay the outermost. Whole numbers are then rounded to their type.
    Raises ImageShapeError.
    """
    image = _checked_image(np.asarray(im))
    size = _checked_size(new_dims, image.shape[2])
    order = _checked_order(interp_order)
    if image.shape[2] not in (1, 3):
        return _zoomed(image, size, order)
    if image.dtype.kind != "f":
        image = image.astype(np.float64)
    low, high = image.min(), image.max()
    if not high > low:  # a single colour, or nan
        return np.full((*size, image.shape[2]), low, np.float32)
    scaled = (image - low) / (high - low)
    resized = _resized(scaled, size, order, anti_aliasing) * (high - low) + low
    return np.asarray(resized, np.float32)


def _resized(image: Floats, size: tuple[int, int], order: int, anti_aliasing: bool) -> Floats:
    """As skimage.transform.resize(image, size, order, mode="constant") with an H×W×K image of 0 to 1."""
    factors = [old / new for old, new in zip(image.shape, size, strict=False)]
    if anti_aliasing:
        for axis, factor in enumerate(factors):
            image = _blurred(image, axis, (factor - 1) / 2)
    kind: np.dtype[Any] = np.dtype(np.float64) if order == 2 else image.dtype
    rows, columns = (
        kind.type(factor) * np.arange(new, dtype=kind) + kind.type(factor * 0.5 - 0.5)
        for factor, new in zip(factors, size, strict=True)
    )
    if order == 0:
        return splines.nearest(splines.nearest(image, 1, columns), 0, rows)
    if order == 1:
        wide: Floats = splines.linear(image, 1, columns).astype(np.float64)
        result = splines.linear(wide, 0, rows)
    elif order == 2:
        wide = splines.b_spline(image.astype(np.float64), 1, columns, order)
        result = splines.b_spline(wide, 0, rows, order)
    else:
        result = splines.catmull_rom(splines.catmull_rom(image, 1, columns), 0, rows)
    result = result.astype(image.dtype)
    # nothing leaves the image's range, but that zeros from beyond its edge stay zeros
    return np.where(result == 0, result, result.clip(image.min(), image.max()))


def _blurred(image: Floats, axis: int, sigma: float) -> Floats:
    """A Gaussian along one axis, as scipy.ndimage.gaussian_filter: zeros beyond the edges, sums in double."""
    radius = int(BLUR_REACH * sigma + 0.5)
    if radius < 1:
        return image
    weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    weights /= weights.sum()
    length = image.shape[axis]
    padding = [(radius, radius) if other == axis else (0, 0) for other in range(image.ndim)]
    padded = np.moveaxis(np.pad(image.astype(np.float64), padding), axis, 0)
    result = padded[radius : radius + length] * weights[radius]
    for reach in range(radius, 0, -1):  # from afar to near: SciPy's order
        left, right = radius - reach, radius + reach
        result += (padded[left : left + length] + padded[right : right + length]) * weights[left]
    blurred: Floats = np.moveaxis(result, 0, axis).astype(image.dtype)
    return blurred


def _zoomed(image: NDArray[Any], size: tuple[int, int], order: int) -> NDArray[np.float32]:
    """As scipy.ndimage.zoom: the middles of the outermost pixels stay where they are."""
    result: Floats = image.astype(np.float64)
    for axis, new in enumerate(size):
        step = (image.shape[axis] - 1) / (new - 1) if new > 1 else 1.0
        result = splines.b_spline(result, axis, np.arange(new) * step, order)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        result = np.trunc(result + np.copysign(0.5, result)).clip(limits.min, limits.max)
    return result.astype(np.float32)


def _checked_image(image: NDArray[Any]) -> NDArray[Any]:
    if image.dtype.kind not in "fiub" or image.dtype.itemsize > 8:
        raise ImageShapeError(f"an image of {image.dtype} cannot be resized: give numbers, float32 at best")
    if image.ndim != 3 or not image.size:
        raise ImageShapeError(
            f"an image of shape {image.shape} cannot be resized: give height, width and channels "
            "(a grey one as image[:, :, np.newaxis])"
        )
    return image.astype(np.float32) if image.dtype in (np.bool_, np.float16) else image


def _checked_size(new_dims: Sequence[int], channels: int) -> tuple[int, int]:
    try:
        height, width = (_whole(side) for side in new_dims)
    except (TypeError, ValueError) as error:
        raise ImageShapeError(
            f"{new_dims!r} is no size to resize to: give (height, width), whole numbers"
        ) from error
    if height < 1 or width < 1 or height * width * channels > MAX_NUMBERS:
        raise ImageShapeError(
            f"an image cannot be resized to {height:,} rows of {width:,} pixels: give sides from 1 on, and at most "
            f"{MAX_NUMBERS // channels:,} pixels"
        )
    return height, width


def _whole(side: Any) -> int:
    if isinstance(side, float | np.floating) and float(side).is_integer():
        return int(side)
    return operator.index(side)


def _checked_order(order: int) -> int:
    if order not in (0, 1, 2, 3):
        raise ImageShapeError(f"interp_order must be 0, 1, 2 or 3, not {order!r}")
    return int(order)
