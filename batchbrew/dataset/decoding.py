"""From an image file of any kind to 8-bit pixels, grey or BGR, as its header's kind and form need it."""

import io
import warnings
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from batchbrew.dataset import tiff
from batchbrew.dataset.headers import Header
from batchbrew.dataset.images import CMYK, Image, ImageError, imdecode, refuse_cut
from batchbrew.dataset.resizing import rounded

# A damaged file's reason is in its ImageError; what Pillow warns of besides would come in between on the screen.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
BAND_PIXELS = 1_000_000  # converted at once, so that what lies between takes little memory
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
    return (1,) if header.jpeg is None or header.by_pillow else tuple(COLOUR)


def decode_picture(data: bytes, header: Header, reduction: int, gray: bool) -> tuple[Image, list[str]]:
    """Pixels, H×W if the file is grey or `gray` is wanted, or H×W×3 BGR; and what was special about them.

    They are as stored, whatever EXIF says, and `reduction` times smaller, rounded. Raises ImageError.
    """
    if header.kind == "TIFF":
        data = tiff.upright(data)
    if header.by_pillow:
        image, odd = _by_pillow(data, header)
    elif header.jpeg is not None:
        image, odd = _jpeg(data, header, reduction, gray)
    else:
        image, odd = _by_opencv(data, header)
    if image.ndim == 2:
        return image, odd if gray else [*odd, "grey"]
    return (cast(Image, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) if gray else image), odd


def _jpeg(data: bytes, header: Header, reduction: int, gray: bool) -> tuple[Image, list[str]]:
    assert header.jpeg is not None
    one = gray or header.jpeg.components == 1
    flags = (GREY if one else COLOUR)[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = imdecode(data, flags)
    if decoded is None and header.jpeg.precision != 8:
        raise ImageError(
            f"is a JPEG of {header.jpeg.precision} bits a channel: only those of 8 can be decoded"
        )
    image = _whole(decoded, header, reduction)
    refuse_cut(data, header.jpeg, image, flags)
    # libjpeg rounds up: a last row that is less than half there would shift all the others.
    width, height = (max(1, rounded(side, reduction)) for side in (header.width, header.height))
    return image[:height, :width], ["CMYK"] if header.jpeg.components == CMYK else []


def _by_opencv(data: bytes, header: Header) -> tuple[Image, list[str]]:
    flags = cv2.IMREAD_UNCHANGED  # which ignores the orientation
    if header.kind == "BMP":  # the fourth byte of a pixel is no transparency there: most writers leave it 0
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    found = _whole(imdecode(data, flags), header)
    if found.dtype == np.uint8:
        return _flattened(found, header, [])
    if found.dtype == np.uint16:
        return _flattened(_in_bands(found, _to_8_bits, found.shape), header, ["16 bits"])
    raise ImageError(f"is a {header.kind} of {found.dtype} numbers: only those of 8 and 16 bits are pictures")


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
    """The first frame of an animation, and the other pictures that are not for OpenCV."""
    try:
        with Pillow.open(io.BytesIO(data), formats=[header.kind.upper()]) as picture:
            if picture.size != (header.width, header.height):
                raise ImageError(f"is a damaged {header.kind}: its header gives two sizes")
            if header.jpeg is not None:
                flags = GREY[8] | cv2.IMREAD_IGNORE_ORIENTATION
                refuse_cut(data, header.jpeg, _whole(imdecode(data, flags), header, 8), flags)
                return _from_inks(np.asarray(picture), header)
            frames = getattr(picture, "n_frames", 1)
            if picture.mode in ("1", "L"):
                return np.asarray(picture.convert("L")), []
            pixels = cast(Image, cv2.cvtColor(np.asarray(picture.convert("RGBA")), cv2.COLOR_RGBA2BGRA))
    except ImageError:
        raise
    except Exception as error:  # of any class: whatever a damaged file leads Pillow's decoders to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"is a damaged {header.kind}: {reason}") from error
    return _flattened(pixels, header, [f"the first of {frames} frames"] if frames > 1 else [])


def _from_inks(inks: Image, header: Header) -> tuple[Image, list[str]]:
    """Pillow has inverted the inks as if Adobe's marker were there: 255 is none."""
    if inks.ndim != 3 or inks.shape[2] != CMYK:
        raise ImageError(f"is a damaged {header.kind}: its header speaks of {CMYK} inks")
    return _in_bands(inks, _mixed_inks, (*inks.shape[:2], 3)), ["CMYK"]


def _flattened(image: Image, header: Header, odd: list[str]) -> tuple[Image, list[str]]:
    """H×W, H×W×3 or H×W×4 without transparency."""
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 2 or image.shape[2] == 3:
        return image, odd
    if image.shape[2] != 4:
        raise ImageError(f"is a {header.kind} of {image.shape[2]} channels: only 1, 3 and 4 are pictures")
    if (image[:, :, 3] == 255).all():
        return cast(Image, cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)), odd
    return _in_bands(image, _on_white, (*image.shape[:2], 3)), [*odd, "alpha"]


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
