"""Photographs for a net: reading them, and cropping corners, centre and mirror images."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.images.resizing import MAX_NUMBERS
from batchbrew.dataset.images import ImageError, check_header, decode, read_image_bytes
from batchbrew.errors import InputError

# of red, green and blue in luminance: scikit-image's rgb2gray, with primaries of ITU-R BT.709
RED, GREEN, BLUE = 0.2125, 0.7154, 0.0721


def load_image(filename: str | Path, color: bool = True) -> NDArray[np.float32]:
    """An image file as H×W×3 RGB, or with `color=False` as H×W×1, float32 from 0 to 1.

    As pycaffe with scikit-image 0.18 and imageio: 8 and 16 bits a channel are scaled, transparency is dropped, a
    JPEG is turned upright by its EXIF block, a grey image in colour is three equal channels. The numbers are the
    same but for 16-bit RGB, which Pillow cuts to 8 bits; CMYK, by 1/255; and transparent images in grey, which newer
    versions of scikit-image blend with white first. Raises InputError, naming the file.
    """
    path = Path(filename)
    try:
        pixels = _pixels(read_image_bytes(path))
    except ImageError as error:
        raise InputError(f"{path} {error}") from error
    full = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    if color or pixels.shape[2] == 1:
        image: NDArray[np.float32] = np.divide(pixels, np.float32(full), dtype=np.float32)
        return image.repeat(3, 2) if color and image.shape[2] == 1 else image
    red, green, blue = (pixels[:, :, [channel]] / np.float64(full) for channel in range(3))
    return (red * RED + green * GREEN + blue * BLUE).astype(np.float32)


def _pixels(data: bytes) -> NDArray[Any]:
    """H×W×3 RGB or H×W×1, in the file's own numbers. Raises ImageError."""
    header = check_header(data)
    image: NDArray[Any]
    if header.kind == "JPEG":
        image = decode(data)
        if (image == image[:, :, :1]).all():
            image = image[:, :, :1]
    else:  # which may have 16 bits a channel
        try:
            found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise ImageError(f"cannot be decoded: {' '.join(str(error).split())}") from error
        if found is None:
            raise ImageError(f"is a damaged or unsupported {header.kind}: OpenCV cannot decode it")
        image = found if found.ndim == 3 else found[:, :, np.newaxis]
    return image[:, :, :1] if image.shape[2] < 3 else image[:, :, 2::-1]


def oversample(
    images: Iterable[NDArray[Any]], crop_dims: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float32]:
    """Ten crops (height, width) of each image, H×W×K: four corners and centre, then their mirror images.

    Gives 10N×height×width×K, upper left, upper right, lower left, lower right, centre. Raises InputError where
    the images differ in shape or are smaller than the crop.
    """
    pictures = list(images)
    height, width = (int(side) for side in crop_dims)
    if not pictures:
        raise InputError("oversample needs at least one image")
    shape = pictures[0].shape
    for picture in pictures:
        if picture.ndim != 3 or picture.shape != shape:
            raise InputError(f"oversample takes H×W×K images of one shape, not {shape} and {picture.shape}")
    if not (0 < height <= shape[0] and 0 < width <= shape[1]):
        raise InputError(f"crops of {height}×{width} cannot be cut from images of {shape[0]}×{shape[1]}")
    if 10 * len(pictures) * height * width * shape[2] > MAX_NUMBERS * 8:
        raise InputError(
            f"ten crops of {height}×{width} of {len(pictures):,} images are too many: give fewer"
        )
    tops, lefts = (0, shape[0] - height), (0, shape[1] - width)
    corners = [(top, left) for top in tops for left in lefts]
    corners.append((int(shape[0] / 2 - height / 2), int(shape[1] / 2 - width / 2)))
    crops = np.empty((len(pictures), 10, height, width, shape[2]), np.float32)
    for index, picture in enumerate(pictures):
        for place, (top, left) in enumerate(corners):
            crops[index, place] = picture[top : top + height, left : left + width]
    crops[:, 5:] = crops[:, :5, :, ::-1]
    return crops.reshape(-1, height, width, shape[2])
