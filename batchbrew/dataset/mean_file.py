"""The mean of a data set's pictures, for nets that subtract one: a .binaryproto as compute_image_mean writes it."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew import atomic
from batchbrew.dataset.images import Unsuitable
from batchbrew.dataset.inspection import naming
from batchbrew.dataset.parallel import default_workers, ordered_map
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, datum_image, parse_datum
from batchbrew.errors import InputError
from batchbrew.proto.blobs import LEGACY_SHAPE, array_blob

CHUNK = 32  # records that a thread adds up before it hands its sum over
MAX_SIDE = 4096
MAX_NUMBERS = 2**26  # of the mean image: sums take eight bytes for each, in every thread

Pixels = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """Which pixels of a picture count. All, and every picture must have one size, unless one of these is given."""

    crop: int | None = None
    """The middle square with this side."""
    resize: int | None = None
    """All, distorted to a square with this side."""
    per_channel: bool = False
    """All, whatever the size: one mean for each channel."""

    def __post_init__(self) -> None:
        if (self.crop is not None) + (self.resize is not None) + self.per_channel > 1:
            raise InputError("--crop, --resize and --per-channel exclude one another: choose one")
        for name, side in (("--crop", self.crop), ("--resize", self.resize)):
            if side is not None and not 1 <= side <= MAX_SIDE:
                raise InputError(f"{name} {side} cannot be used: give 1 to {MAX_SIDE} pixels")

    def fit(self, image: Pixels) -> Pixels:
        """H×W×C pixels of it. Raises Unsuitable where it is too small for the crop."""
        height, width = image.shape[:2]
        if self.crop is not None:
            if min(height, width) < self.crop:
                raise Unsuitable(f"is {width}×{height}, too small for a crop of {self.crop}")
            top, left = (height - self.crop) // 2, (width - self.crop) // 2
            return image[top : top + self.crop, left : left + self.crop]
        if self.resize is not None:
            size = (self.resize, self.resize)
            shrinks = min(height, width) > self.resize
            image = cast(
                Pixels, cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            )
            return image if image.ndim == 3 else image[:, :, np.newaxis]
        return image


@dataclass(frozen=True)
class Mean:
    """Of so many pictures."""

    images: int
    values: NDArray[np.float32]
    """C×H×W, BGR; H = W = 1 per channel."""

    @property
    def per_channel(self) -> list[float]:
        """Of each channel."""
        return [float(value) for value in self.values.mean(axis=(1, 2), dtype=np.float64)]


def write_mean(
    path: Path,
    out: Path,
    frame: Frame | None = None,
    *,
    workers: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Mean:
    """The mean picture of a data set, into `out`: a BlobProto of 1×C×H×W floats.

    It is summed up exactly where pixels are bytes. So it is compute_image_mean's to the bit, as long as that tool's
    single precision holds its sums: for some 65,000 pictures. Raises InputError that names the first record
    with other channels or another size, or that is damaged.
    """
    if out.exists() and not force:
        raise InputError(f"{out} exists already: choose another name, or replace it with --force")
    mean = mean_of(path, frame or Frame(), workers, progress)
    blob = array_blob(mean.values[np.newaxis])
    blob.ClearField("shape")
    for name, length in zip(LEGACY_SHAPE, (1, *mean.values.shape), strict=True):
        setattr(blob, name, length)
    atomic.write_file(out, blob.SerializeToString())
    return mean


def mean_of(path: Path, frame: Frame, workers: int | None = None, progress: Progress | None = None) -> Mean:
    """The mean that `write_mean` writes."""
    total = _Sum()
    with LmdbReader(path) as reader:
        sums = ordered_map(
            lambda chunk: _sum_of(path, chunk, frame), _chunks(reader.items()), workers or default_workers()
        )
        with contextlib.closing(sums):
            for each in sums:
                total.add(each, path)
                if progress is not None:
                    progress(total.images, reader.count, 0)
    assert total.sum is not None
    return Mean(total.images, (total.sum / total.pixels).astype(np.float32))


class _ChunkSum(NamedTuple):
    first_key: bytes
    shape: tuple[int, ...]
    sum: NDArray[Any]
    """C×H×W, int64 or float64."""
    images: int
    pixels: int
    """That each number of `sum` is the sum of."""


class _Sum:
    """Of chunks, which must have one shape."""

    def __init__(self) -> None:
        self.sum: NDArray[Any] | None = None
        self.images = self.pixels = 0
        self._shape: tuple[int, ...] = ()

    def add(self, chunk: _ChunkSum, path: Path) -> None:
        if self.sum is None:
            self.sum, self._shape = chunk.sum, chunk.shape
        else:
            with naming(path, chunk.first_key):
                _check_shape(chunk.shape, self._shape)
            self.sum = self.sum + chunk.sum
        self.images += chunk.images
        self.pixels += chunk.pixels


def _chunks(items: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _sum_of(path: Path, chunk: list[tuple[bytes, bytes]], frame: Frame) -> _ChunkSum:
    total: NDArray[Any] | None = None
    shape: tuple[int, ...] = ()
    pixels = 0
    for key, value in chunk:
        with naming(path, key):
            image = frame.fit(datum_image(parse_datum(value))).transpose(2, 0, 1)
            counted = image.shape[:1] if frame.per_channel else image.shape
            exact: Any = np.int64 if image.dtype == np.uint8 else np.float64
            if total is None:
                if not frame.per_channel and image.size > MAX_NUMBERS:
                    raise Unsuitable(
                        f"has {image.size:,} numbers: a mean picture has {MAX_NUMBERS:,} at most"
                    )
                shape = counted
                total = np.zeros((*counted, 1, 1) if frame.per_channel else counted, exact)
            else:
                _check_shape(counted, shape)
                total = total.astype(np.float64) if exact is np.float64 else total
            if frame.per_channel:
                total += image.sum(axis=(1, 2), keepdims=True, dtype=exact)
                pixels += image.shape[1] * image.shape[2]
            else:
                total += image
                pixels += 1
    assert total is not None
    return _ChunkSum(chunk[0][0], shape, total, len(chunk), pixels)


def _check_shape(shape: tuple[int, ...], first: tuple[int, ...]) -> None:
    """Of channels, or of channels, rows and columns. Raises Unsuitable if they differ."""
    if len(shape) == 1 or shape[0] != first[0]:
        if shape[0] != first[0]:
            raise Unsuitable(
                f"has {shape[0]} channels, those before it have {first[0]}: a mean is of one number of channels"
            )
        return
    if shape != first:
        raise Unsuitable(
            f"is {shape[2]}×{shape[1]}, those before it are {first[2]}×{first[1]}: a mean picture needs one size; give "
            "--per-channel, --crop N or --resize N"
        )
