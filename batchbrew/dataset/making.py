"""One picture: from a file's bytes to the Datum that the LMDB holds."""

from dataclasses import dataclass

import cv2

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import Image, check_header, decode, encode_jpeg, resize_short_side
from batchbrew.dataset.pixel_budget import PixelBudget
from batchbrew.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class Made:
    """A picture as it goes into the LMDB, and what is worth knowing about it."""

    datum: bytes
    """A serialised Datum with the label."""
    source_size: tuple[int, int]
    """Height and width of the picture that came in."""
    size: tuple[int, int]
    """Height and width as stored."""
    kind: str
    """JPEG, PNG, ...: by the content, whatever the name."""
    odd: tuple[str, ...]
    """What was special about it and was dealt with: "CMYK", "alpha", "grey", "16 bits", "a PNG named .JPEG"."""
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
    header = check_header(data)
    image = resize_short_side(decode(data), options.side)
    height, width, channels = image.shape
    datum = pb.Datum(channels=channels, height=height, width=width, label=label, encoded=True)
    datum.data = encode_jpeg(image, options.quality)
    sums, squares = sums_of(image)
    return Made(
        datum=datum.SerializeToString(),
        source_size=(header.height, header.width),
        size=(height, width),
        kind=header.kind,
        odd=(),
        passed_through=False,
        sums=sums,
        squares=squares,
    )


def sums_of(image: Image) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Σx and Σx² of each channel of an H×W×C picture."""
    count = image.shape[0] * image.shape[1]
    means, deviations = cv2.meanStdDev(image)
    # Both are whole numbers: rounding takes away what the division and the root have left.
    return (
        tuple(float(round(count * mean)) for mean in means[:, 0]),
        tuple(
            float(round(count * (deviation**2 + mean**2)))
            for mean, deviation in zip(means[:, 0], deviations[:, 0], strict=True)
        ),
    )
