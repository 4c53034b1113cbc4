"""One image as readers need it: from a file's bytes to pixels as OpenCV, and so Caffe, decodes them.

Pixels are H×W×3 uint8 in BGR order, as Caffe has them. How the odd kinds are read:
- EXIF orientation is applied, as OpenCV's imread does (JPEG and TIFF always; PNG and WebP as far as the installed
  OpenCV knows it). A damaged EXIF block is ignored.
- Greyscale becomes three equal channels, CMYK and YCCK become BGR, 16 bits a channel become 8.
- Transparency is dropped: what counts are the colours under it. Nothing is blended with a background.
- The kind is told by the content, not by the name: a PNG called .JPEG is a PNG.
What goes into an LMDB is decoded by `decoding`, with the same checks.
"""

import hashlib
import io
import stat
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from batchbrew.dataset.headers import Header, read_header
from batchbrew.dataset.jpeg import JpegSkeleton, with_filler_before_end
from batchbrew.errors import InputError

Image = NDArray[np.uint8]

MAX_PIXELS = 200_000_000  # 600 MB once decoded, for each worker
MAX_FILE_BYTES = 256 * 2**20
CMYK = 4  # components of a JPEG
JPEG_GREY = 128  # what libjpeg draws where it has no data
BAND_ROWS = 64
BGR = 3  # channels
BRIGHTNESS = np.array([0.114, 0.587, 0.299])  # of blue, green and red


class ImageError(InputError):
    """An image that cannot be used; the text is the reason, without the image's name."""


class Unsuitable(ImageError):
    """A sound image that cannot be used for this."""


def read_image_bytes(path: Path) -> bytes:
    """The content of an image file. Raises ImageError if it cannot be read, is no file, or is too large."""
    try:
        status = path.stat()  # first: opening a named pipe would wait for ever
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("is not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise ImageError(f"has {status.st_size:,} bytes, more than {MAX_FILE_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte in the name
        raise ImageError(f"cannot be read: {error}") from error


def decode(data: bytes) -> Image:
    """The pixels of an image file, H×W×3 BGR, upright. Raises ImageError if any part of them is missing."""
    return _decode(data, cv2.IMREAD_COLOR)


def decode_grey(data: bytes) -> Image:
    """The same in grey, H×W×1. Raises ImageError likewise."""
    return _decode(data, cv2.IMREAD_GRAYSCALE)[:, :, np.newaxis]


def decode_stored(data: bytes) -> Image:
    """The pixels of a Datum's encoded image as Caffe's Data layer decodes it: H×W×C, C = 1 for greyscale.

    Raises ImageError for what cannot be decoded, and for 16 bits a channel, on which Caffe aborts.
    """
    image = _decode(data, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8:
        raise ImageError(f"has {image.dtype} pixels; Caffe takes 8 bits a channel only")
    return image if image.ndim == 3 else image[:, :, np.newaxis]


def check_header(data: bytes) -> Header:
    """What a file says of itself, if that is an image that may be decoded. Raises ImageError if not."""
    header = _header_with_a_size(data)
    if header.kind == "GIF":  # which the OpenCV of a real Caffe cannot read
        raise ImageError("is a GIF, and no JPEG, PNG, BMP, PNM, TIFF or WebP file")
    if header.width * header.height > MAX_PIXELS:
        size = f"{header.width}×{header.height}"
        raise ImageError(f"is a {header.kind} of {size} pixels; at most {MAX_PIXELS:,} are decoded")
    return _refuse_missing_parts(header)


def sound_header(data: bytes) -> Header:
    """The header of an image file of any kind and size. Raises ImageError if it is damaged or truncated."""
    return _refuse_missing_parts(_header_with_a_size(data))


def _refuse_missing_parts(header: Header) -> Header:
    if not header.whole:
        raise ImageError(f"is a truncated {header.kind}: a part that it announces is missing")
    return header


def _header_with_a_size(data: bytes) -> Header:
    if not data:
        raise ImageError("is empty")
    header = read_header(data)
    if header is None:
        raise ImageError("is not a JPEG, PNG, BMP, PNM, TIFF, WebP or GIF file")
    if header.jpeg is not None and header.jpeg.end is None:
        raise ImageError("is a truncated JPEG: its end is missing")
    if header.width == 0 or header.height == 0:
        raise ImageError(f"is a damaged {header.kind}: its header gives no size")
    return header


def _decode(data: bytes, flags: int) -> Image:
    header = check_header(data)
    image = imdecode(data, flags)
    if image is None:
        raise ImageError(f"is a damaged or unsupported {header.kind}: OpenCV cannot decode it")
    if header.jpeg is not None:
        refuse_cut(data, header.jpeg, image, flags)
    return image


def refuse_cut(data: bytes, skeleton: JpegSkeleton, image: Image, flags: int) -> None:
    """Raise ImageError if `image`, what `flags` gave of a JPEG, lacks rows though the file has its end marker."""
    # In inks libjpeg's grey is another colour: those few are all decoded again.
    if not (skeleton.components == CMYK or has_grey_corner(image)):
        return
    if _drawn(data, flags) != _drawn(with_filler_before_end(data, skeleton), flags):
        raise ImageError("is a truncated JPEG: its data end before its last row")


def _drawn(data: bytes, flags: int) -> bytes | None:
    """A digest of a JPEG's pixels, in the size and colours that `flags` ask OpenCV for; None if there are none.

    By Pillow, which is silent: through OpenCV, libjpeg would tell the user that the filler is corrupt data.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    try:
        picture = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        width, height = picture.size
        reduction = _reduction(flags)
        grey = flags >= 0 and not flags & cv2.IMREAD_COLOR
        picture.draft(
            "L" if grey else picture.mode, (max(width // reduction, 1), max(height // reduction, 1))
        )
        picture.load()
    except Exception:  # of any class: whatever a damaged file leads Pillow's decoder to
        pixels = imdecode(data, flags)  # what Pillow cannot read
        return None if pixels is None else hashlib.sha1(pixels.data, usedforsecurity=False).digest()
    for top in range(0, picture.height, BAND_ROWS):
        band = picture.crop((0, top, picture.width, min(top + BAND_ROWS, picture.height)))
        digest.update(band.tobytes())
    return digest.digest()


def _reduction(flags: int) -> int:
    """How many times smaller OpenCV decodes with them."""
    reduced = {
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    }  # fmt: skip
    return next((times for times, flag in reduced.items() if flags >= 0 and flags & flag), 1)


def imdecode(data: bytes, flags: int) -> Image | None:
    """OpenCV's decoder; None if it cannot. Raises ImageError if it fails."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded: {' '.join(str(error).split())}") from error
    return cast(Image | None, image)  # None, whatever the type stubs say, if it cannot be decoded


def has_grey_corner(image: Image) -> bool:
    """Whether what lies last in a JPEG's data, its last block, may never have been drawn.

    It is in a corner, whichever way EXIF turned the image. Of the block there may be one pixel in the image, so one
    pixel is looked at; where a side ends one pixel behind a block, that pixel has a share of its neighbour's colours,
    and only its brightness is libjpeg's grey.
    """
    height, width = image.shape[:2]
    shared = image.ndim == 3 and (height % 8 == 1 or width % 8 == 1)
    row = image.size // height
    if not shared and JPEG_GREY not in map(image.item, (0, row - 1, image.size - row, image.size - 1)):
        return False  # as nearly always: each of them is a number of another corner
    corners = image[:: max(height - 1, 1), :: max(width - 1, 1)].reshape(-1, image[0, 0].size)
    if shared and corners.shape[1] == BGR:
        return bool((np.abs(corners @ BRIGHTNESS - JPEG_GREY) < 1.5).any())
    return bool((corners == JPEG_GREY).all(axis=1).any())
