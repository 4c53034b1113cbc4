"""Means and scale: what is done to a whole batch of pixels, where layers compute (data_transformer.cpp)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchbrew.caffe.data.staging import uploaded
from batchbrew.nets.shapes.registry import Refusal, by
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array


class Place(NamedTuple):
    """What was taken of an image: its upper left corner, and whether it was mirrored then."""

    top: int
    left: int
    mirrored: bool


class Normalisation:
    """(pixel - mean)·scale in float32. `mean_image` is C×H×W: of it that is subtracted which lies where the crop was,
    mirrored as the crop was.
    """

    def __init__(
        self, mean_values: NDArray[np.float32], mean_image: NDArray[np.float32] | None, scale: float
    ) -> None:
        self._mean_values = torch.from_numpy(mean_values)
        self._mean_image = None if mean_image is None else _both_ways(mean_image)
        self._scale = scale
        self._row = torch.empty(0)  # the mean values of a row of pixels, where they were wanted last

    def __call__(self, pixels: Tensor, places: Sequence[Place]) -> Tensor:
        """N×C×H×W float32 numbers of N×H×W×C pixels (uint8, or float32, which are overwritten), in their strides."""
        numbers = pixels if pixels.dtype == torch.float32 else torch.empty_like(pixels, dtype=torch.float32)
        if pixels.is_cuda:
            self._together(pixels, numbers, places)
        else:
            self._in_turn(pixels, numbers, places)
        return numbers.permute(0, 3, 1, 2)

    def _in_turn(self, pixels: Tensor, numbers: Tensor, places: Sequence[Place]) -> None:
        """On the CPU: an image is then still in the cache for its next operation.

        Each is short. PyTorch would share it among its threads, which wait awake for one another while those that
        decode need the cores; that can take more of them than decoding. So numpy does it, in this one.
        """
        means = None if self._mean_image is None else self._mean_image.numpy()
        values = np.resize(self._mean_values.numpy(), numbers.shape[2:])  # of a row of pixels
        rows = numbers[0].is_contiguous()
        for image, made, place in zip(pixels.numpy(), numbers.numpy(), places, strict=True):
            if made.dtype != image.dtype:
                np.copyto(made, image)
            if means is not None:
                made -= _mean_crop(means, made.shape, place)
            elif len(self._mean_values) and rows:  # the numbers of one pixel alone are a short loop
                np.subtract(flat := made.reshape(len(made), -1), values.reshape(-1), out=flat)
            elif len(self._mean_values):
                made -= values
            if self._scale != 1:
                made *= np.float32(self._scale)

    def _together(self, pixels: Tensor, numbers: Tensor, places: Sequence[Place]) -> None:
        """On a GPU: all images at once."""
        if pixels.dtype != numbers.dtype:
            numbers.copy_(pixels)
        if self._mean_image is not None:
            self._mean_image = self._mean_image.to(numbers.device)
            numbers.sub_(self._mean_crops(self._mean_image, numbers, places))
        elif len(self._mean_values):
            self._subtract_values(numbers)
        if self._scale != 1:
            numbers.mul_(self._scale)

    def _subtract_values(self, numbers: Tensor) -> None:
        images, height, width, channels = numbers.shape
        if self._row.device != numbers.device or self._row.shape != (width, channels):
            self._row = uploaded(self._mean_values.expand(width, channels).contiguous(), numbers.device)
        if numbers.is_contiguous():  # whole rows at once: the numbers of one pixel are a short loop
            numbers.view(images * height, width * channels).sub_(self._row.view(-1))
        else:
            numbers.sub_(self._row)

    def _mean_crops(self, means: Tensor, numbers: Tensor, places: Sequence[Place]) -> Tensor:
        """What is subtracted from each image: N×H×W×C, or H×W×C where that is the same."""
        height, width = numbers.shape[1:3]
        crops = means.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)
        last = crops.shape[2] - 1
        wanted = [(int(mirrored), top, last - left if mirrored else left) for top, left, mirrored in places]
        if len(set(wanted)) == 1:
            return crops[wanted[0]]
        which = uploaded(torch.tensor(wanted).T.contiguous(), numbers.device)
        return crops[which[0], which[1], which[2]]


def _mean_crop(means: NDArray[np.float32], shape: Sequence[int], place: Place) -> NDArray[np.float32]:
    """What of the mean images, upright and mirrored, is subtracted from an image of `shape` that was cut out there."""
    height, width = shape[:2]
    left = means.shape[2] - width - place.left if place.mirrored else place.left
    return means[int(place.mirrored), place.top : place.top + height, left : left + width]


def _both_ways(mean: NDArray[np.float32]) -> Tensor:
    """The mean image and its mirror image: 2×H×W×C."""
    upright = torch.from_numpy(mean).permute(1, 2, 0)
    return torch.stack([upright, upright.flip(1)])


def read_mean(path: str) -> NDArray[np.float32]:
    """The mean image (C×H×W) of a binaryproto, as compute_image_mean writes it.

    Raises Refusal if it has another number of axes or of images, InputError if it cannot be read.
    """
    mean = blob_array(read_binary(Path(path), pb.BlobProto), path)
    if mean.ndim != 4 or mean.shape[0] != 1 or not mean.size:
        raise Refusal(f"has the mean_file {path} of shape {by(mean.shape)}: one image is expected, 1×C×H×W")
    return np.asarray(mean[0], np.float32)
