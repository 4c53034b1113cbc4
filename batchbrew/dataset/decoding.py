"""From an image file of any kind to 8-bit pixels, grey or BGR, as its header's kind and form need it."""

import io
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from batchbrew.dataset.headers import Header
from batchbrew.dataset.images import Image, ImageError, imdecode, refuse_cut

BAND_PIXELS = 1_000_000  # converted at once, so that what lies between takes little memory
CMYK = 4
COLOUR = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def reductions(header: Header) -> tuple[int, ...]:
    """How many times smaller the file can be decoded, at less cost."""
    return (1,) if header.jpeg is None or _needs_pillow(header) else tuple(COLOUR)


def decode_picture(data: bytes, header: Header, reduction: int, gray: bool) -> tuple[Image, list[str]]:
    """Pixels, H×W if the file is grey or `gray` is wanted, or H×W×3 BGR; and what was special about them.

    They are as stored, whatever EXIF says, and `reduction` times smaller, rounded. Raises ImageError.
    """
    if _needs_pillow(header):
        image, odd = _by_pillow(data, header)
    elif header.jpeg is not None:
        image, odd = _jpeg(data, header, reduction, gray)
    else:
        image, odd = _by_opencv(data, header)
    if image.ndim == 2:
        return image, odd if gray else [*odd, "grey"]
    return (cast(Image, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) if gray else image), odd


def _needs_pillow(header: Header) -> bool:
    """What the oldest OpenCV that is supported cannot read, or reads as something else."""
    jpeg = header.jpeg
    return (
        header.kind == "GIF"
        or header.animated
        or (jpeg is not None and jpeg.components == CMYK and not jpeg.adobe)
    )


def _jpeg(data: bytes, header: Header, reduction: int, gray: bool) -> tuple[Image, list[str]]:
    assert header.jpeg is not None
    one = gray or header.jpeg.components == 1
    flags = (GREY if one else COLOUR)[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    image = _whole(imdecode(data, flags), header, reduction)
    refuse_cut(data, header.jpeg, image, flags)
    # libjpeg rounds up: a last row that is less than half there would shift all the others.
    width, height = (
        max(1, (2 * side + reduction) // (2 * reduction)) for side in (header.width, header.height)
    )
    odd = ["CMYK"] if header.jpeg.components == CMYK else []
    if gray and header.jpeg.components == 1:
        odd = []
    return image[:height, :width], odd


def _by_opencv(data: bytes, header: Header) -> tuple[Image, list[str]]:
    # The fourth byte of a BMP's pixel is no transparency: most writers leave it 0.
    flags = cv2.IMREAD_COLOR if header.kind == "BMP" else cv2.IMREAD_UNCHANGED
    found: NDArray[Any] = _whole(
        imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION if flags >= 0 else flags), header
    )
    odd = []
    if found.dtype == np.uint16:
        found, odd = _in_bands(found, _to_8_bits, found.shape), ["16 bits"]
    elif found.dtype != np.uint8:
        raise ImageError(
            f"is a {header.kind} of {found.dtype} numbers: only those of 8 and 16 bits are pictures"
        )
    if found.ndim == 3 and found.shape[2] == 4:
        found, odd = _in_bands(found, _on_white, (*found.shape[:2], 3)), [*odd, "alpha"]
    if found.ndim == 3 and found.shape[2] != 3:
        raise ImageError(f"is a {header.kind} of {found.shape[2]} channels: only 1, 3 and 4 are pictures")
    return found, odd


def _whole(image: NDArray[Any] | None, header: Header, reduction: int = 1) -> NDArray[Any]:
    """What was decoded, if that is what the header announced."""
    if image is None:
        raise ImageError(f"is a damaged or unsupported {header.kind}: OpenCV cannot decode it")
    announced = (-(-header.height // reduction), -(-header.width // reduction))
    if image.shape[:2] != announced:
        raise ImageError(
            f"is a damaged {header.kind}: it has {image.shape[1]}×{image.shape[0]} pixels, "
            f"where its header says {announced[1]}×{announced[0]}"
        )
    return image


def _by_pillow(data: bytes, header: Header) -> tuple[Image, list[str]]:
    """The first frame of an animation; a CMYK JPEG without Adobe's marker, in which 0 is no ink."""
    try:
        with Pillow.open(io.BytesIO(data), formats=[header.kind.upper()]) as picture:
            if picture.size != (header.width, header.height):
                raise ImageError(f"is a damaged {header.kind}: its header gives two sizes")
            if header.jpeg is not None:
                # Pillow inverts them as if they were Adobe's: now 255 is no ink.
                ink = np.asarray(picture)
                image = _in_bands(ink, _mixed_inks, (*ink.shape[:2], 3))
                return image, ["CMYK"]
            frames = getattr(picture, "n_frames", 1)
            rgba = np.asarray(picture.convert("RGBA"))
    except ImageError:
        raise
    except Exception as error:  # of any class: whatever a damaged file leads Pillow's decoders to
        raise ImageError(
            f"is a damaged {header.kind}: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    odd = [f"the first of {frames} frames"] if frames > 1 else []
    if not (rgba[:, :, 3] == 255).all():
        odd.append("alpha")
    return _in_bands(rgba, _rgba_on_white, (*rgba.shape[:2], 3)), odd


def _in_bands(image: NDArray[Any], convert: Any, shape: tuple[int, ...]) -> Image:
    """`convert` band of rows by band."""
    result = np.empty(shape, np.uint8)
    rows = max(1, BAND_PIXELS // image.shape[1])
    for top in range(0, len(image), rows):
        result[top : top + rows] = convert(image[top : top + rows])
    return result


def _to_8_bits(band: NDArray[np.uint16]) -> Image:
    """0..65535 to 0..255 by division, rounded."""
    return ((band.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _on_white(band: Image) -> Image:
    """Colours and alpha, H×W×4, as seen on white paper."""
    alpha = band[:, :, 3:].astype(np.uint16)
    return ((band[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _rgba_on_white(band: Image) -> Image:
    return _on_white(band)[:, :, ::-1]


def _mixed_inks(band: Image) -> Image:
    """Cyan, magenta, yellow and black, 255 for no ink, to BGR."""
    light = band.astype(np.uint16)
    return ((light[:, :, 2::-1] * light[:, :, 3:] + 127) // 255).astype(np.uint8)


def turned(image: Image, orientation: int) -> Image:
    """The picture upright, where EXIF says that it is stored in `orientation`, 1 to 8."""
    if orientation >= 5:
        image = cast(Image, cv2.transpose(image))
    # Whether left and right, and up and down, are exchanged then.
    mirrored, upturned = {
        1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1),
    }[orientation]  # fmt: skip
    if mirrored or upturned:
        image = cast(Image, cv2.flip(image, -1 if mirrored and upturned else int(bool(mirrored))))
    return image
