"""One picture: from a file's bytes to the Datum that the LMDB holds."""

import math
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np

from batchbrew.dataset.decoding import decode_picture, reductions, turned
from batchbrew.dataset.headers import Header
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import Image, ImageError, sound_header
from batchbrew.dataset.pixel_budget import BYTES_PER_PIXEL, PixelBudget
from batchbrew.dataset.resizing import Geometry, fit, plan, rounded
from batchbrew.proto import caffe_pb2 as pb

ENLARGED_FILTERED = 4  # pixels of a scaled picture that the filter before it may hold for each
KINDS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".gif": "GIF", ".webp": "WebP",
    ".bmp": "BMP", ".dib": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
    ".pnm": "PNM", ".ppm": "PNM", ".pgm": "PNM", ".pbm": "PNM",
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A picture as it goes into the LMDB, and what is worth knowing about it."""

    datum: bytes
    """A serialised Datum with the label."""
    source_size: tuple[int, int]
    """Height and width of the picture that came in, as stored in its file."""
    size: tuple[int, int]
    """Height and width as stored."""
    kind: str
    """JPEG, PNG, ...: by the content, whatever the name."""
    odd: tuple[str, ...]
    """What was special about it and was dealt with: "CMYK", "alpha", "grey", "16 bits", "a PNG named .JPEG", ..."""
    passed_through: bool
    """Whether the file's bytes are stored as they came."""
    sums: tuple[float, ...]
    """Of the pixels of each channel, 0..255, BGR (or grey), before the JPEG coding."""
    squares: tuple[float, ...]
    """Of their squares, likewise."""


def make(
    data: bytes, path: str, label: int, options: ImageOptions, budget: PixelBudget | None = None
) -> Made:
    """The picture in the file `data`, named `path`, in the form that `options` ask for.

    Takes from `budget` what it holds decoded. Raises ImageError with the reason if it cannot be used.
    """
    header = sound_header(data)
    turn = header.orientation if options.exif else 1
    size = (header.width, header.height)
    geometry = plan(*(size if turn < 5 else size[::-1]), options)
    budget = PixelBudget() if budget is None else budget
    reduction, pixels = affordable(header, geometry, turn, budget.alone)
    with budget.hold(pixels):
        image, odd = decode_picture(data, header, reduction, options.gray)
        image = fit(turned(image, turn), geometry)
        sums, squares = sums_of(image)
        if image.ndim == 2 and not options.gray:
            image, sums, squares = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), sums * 3, squares * 3  # type: ignore[assignment]
        passed = _may_pass(header, geometry, options)
        stored = data if passed else encode(image, options)
    width, height = geometry.stored
    datum = pb.Datum(channels=options.channels, height=height, width=width, label=label)
    datum.data = stored
    if options.encoding != "raw":
        datum.encoded = True  # then Caffe takes the sizes from the data
    return Made(
        datum=datum.SerializeToString(),
        source_size=(header.height, header.width),
        size=(height, width),
        kind=header.kind,
        odd=tuple(
            _named_odd(path, header)
            + odd
            + _turned_odd(header, options)
            + _small_odd(header, geometry, options)
        ),
        passed_through=passed,
        sums=sums,
        squares=squares,
    )


def affordable(header: Header, geometry: Geometry, turn: int, most: int) -> tuple[int, int]:
    """How many times smaller the picture is decoded, and the pixels of a budget that it takes then.

    As small as the scaled picture allows; smaller still if it would be more than `most` pixels otherwise.
    Raises ImageError if it cannot be made as small as that.
    """
    scaled = geometry.scaled if turn < 5 else geometry.scaled[::-1]
    size = (header.width, header.height)
    possible = reductions(header) if scaled != size else (1,)
    best = max(
        (
            reduction
            for reduction in possible
            if all(rounded(side, reduction) >= wanted for side, wanted in zip(size, scaled, strict=True))
        ),
        default=1,  # it is enlarged
    )
    for reduction in (each for each in possible if each >= best):
        pixels = _pixels_taken(header, geometry, turn, reduction)
        if pixels <= most:
            return reduction, pixels
    raise ImageError(
        f"is a {header.kind} of {header.width}×{header.height} pixels, which takes "
        f"{pixels * BYTES_PER_PIXEL / 1e6:,.0f} MB to decode; a picture may take {most * BYTES_PER_PIXEL / 1e6:,.0f} MB"
    )


def _pixels_taken(header: Header, geometry: Geometry, turn: int, reduction: int) -> int:
    """The memory that decoding and scaling take at the most, in pixels of a budget."""
    whole = header.width * header.height
    decoded = -(-header.width // reduction) * -(-header.height // reduction)
    scaled, stored = math.prod(geometry.scaled), math.prod(geometry.stored)
    taken = decoded * header.pixel_bytes + whole * header.coefficient_bytes
    if turn != 1:
        taken += 2 * decoded * BYTES_PER_PIXEL
    if scaled != decoded:
        taken += (min(decoded, ENLARGED_FILTERED * scaled) + scaled) * BYTES_PER_PIXEL
    return math.ceil(taken / BYTES_PER_PIXEL) + stored


def encode(image: Image, options: ImageOptions) -> bytes:
    """An H×W or H×W×3 BGR picture as the Datum's data. Raises ImageError for sizes that the encoding cannot have.

    JPEG: baseline, chroma halved both ways, no metadata. Raw: C×H×W.
    """
    if options.encoding == "raw":
        return (
            image.tobytes()
            if image.ndim == 2
            else b"".join(channel.tobytes() for channel in cv2.split(image))
        )
    parameters = [cv2.IMWRITE_JPEG_QUALITY, options.quality] if options.encoding == "jpeg" else []
    try:
        done, data = cv2.imencode(".jpg" if options.encoding == "jpeg" else ".png", image, parameters)
    except cv2.error:
        done = False
    if not done:
        height, width = image.shape[:2]
        raise ImageError(f"is {width}×{height}, which cannot be stored as a {options.encoding.upper()}")
    return data.tobytes()


def _may_pass(header: Header, geometry: Geometry, options: ImageOptions) -> bool:
    """Whether the file itself is what would be made of it.

    A file that EXIF turns is not: some of Caffe's readers would turn it.
    """
    size = (header.width, header.height)
    return (
        not options.recompress
        and header.kind.lower() == options.encoding
        and header.plain_channels == options.channels
        and header.orientation == 1
        and geometry == (size, size)
    )


def sums_of(image: Image) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Σx and Σx² of each channel of an H×W or H×W×C picture."""
    count = image.shape[0] * image.shape[1]
    means, deviations = (found[:, 0].astype(np.float64) for found in cv2.meanStdDev(image))
    # Both are whole numbers: rounding takes away what the division and the root have left.
    sums, squares = np.rint(count * means), np.rint(count * (deviations**2 + means**2))
    return tuple(sums.tolist()), tuple(squares.tolist())


def _named_odd(path: str, header: Header) -> list[str]:
    suffix = PurePosixPath(path).suffix
    named = KINDS.get(suffix.lower(), header.kind)
    return [] if named == header.kind else [f"a {header.kind} named {suffix}"]


def _turned_odd(header: Header, options: ImageOptions) -> list[str]:
    if header.orientation == 1:
        return []
    return ["EXIF orientation applied" if options.exif else "EXIF orientation ignored"]


def _small_odd(header: Header, geometry: Geometry, options: ImageOptions) -> list[str]:
    return (
        [f"smaller than {options.side}"]
        if min(geometry.stored) < options.side and options.mode != "none"
        else []
    )
