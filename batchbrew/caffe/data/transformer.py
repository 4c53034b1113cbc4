"""transform_param: what a data layer does to each image (data_transformer.cpp)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe import mode
from batchbrew.caffe.data.randomness import draws, new_seed
from batchbrew.dataset.images import ImageError
from batchbrew.nets.shapes.registry import Refusal, Shape, by
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array

Pixels = NDArray[np.uint8] | NDArray[np.float32]  # H×W×C
Draw = NDArray[np.uint64]  # three numbers, for mirroring, for the crop's row and column
FIXED = np.zeros(3, np.uint64)


class Transformer:
    """Crop, mirror, mean and scale: (pixel - mean)·scale, float32 as in Caffe.

    A crop is at a random place in TRAIN phase and in the middle in TEST; mirroring is by chance in both. Raises
    Refusal, or InputError for a mean file that cannot be read.
    """

    def __init__(self, param: pb.TransformationParameter, phase: int) -> None:
        if param.mean_file and param.mean_value:
            raise Refusal("has both mean_file and mean_value: keep one")
        self._crop = int(param.crop_size)
        self._crops_randomly = phase == mode.TRAIN and self._crop > 0
        self._mirrors = bool(param.mirror)
        self._scale = np.float32(param.scale)
        self._mean_file = str(param.mean_file)
        self._mean_image = read_mean(self._mean_file) if param.mean_file else None
        self._mean_values = np.array(param.mean_value, np.float32)
        self._seed = new_seed() if self._mirrors or self._crops_randomly else None

    def draws(self, batch: int, images: int) -> list[Draw]:
        """The random numbers of a batch, three for each image."""
        if self._seed is None:
            return [FIXED] * images
        return list(draws(3 * images, self._seed, batch).reshape(images, 3))

    def shape(self, image: Pixels) -> Shape:
        """Channels, height and width of what becomes of `image`.

        Raises ImageError where its size does not suit the crop or the mean.
        """
        height, width, channels = image.shape
        if self._crop > min(height, width):
            raise ImageError(f"is {height} high and {width} wide, too small for crop_size {self._crop}")
        if self._mean_image is not None and self._mean_image.shape != (channels, height, width):
            raise ImageError(
                f"is {by((channels, height, width))}, but the mean in {self._mean_file} is "
                f"{by(self._mean_image.shape)}: they must be alike"
            )
        if len(self._mean_values) not in (0, 1, channels):
            raise ImageError(
                f"has {channels} channels, but there are {len(self._mean_values)} mean_value: give one, or one for each"
            )
        return (channels, self._crop, self._crop) if self._crop else (channels, height, width)

    def write(self, image: Pixels, draw: Draw, out: NDArray[np.float32]) -> None:
        """Transform `image` into `out`, which has the shape that `shape` says."""
        height, width = out.shape[1:]
        top, left = self._corner(image.shape[0] - height, image.shape[1] - width, draw)
        direction = -1 if self._mirrors and draw[0] & 1 else 1
        values = image[top : top + height, left : left + width].transpose(2, 0, 1)[:, :, ::direction]
        if self._mean_image is not None:
            mean = self._mean_image[:, top : top + height, left : left + width][:, :, ::direction]
            np.subtract(values, mean, out=out)
        elif len(self._mean_values):
            np.subtract(values, self._mean_values[:, None, None], out=out)
        else:
            out[...] = values
        if self._scale != 1:
            out *= self._scale

    def _corner(self, spare_rows: int, spare_columns: int, draw: Draw) -> tuple[int, int]:
        """The upper left corner of the crop; an odd row or column too many stays below, or at the right."""
        if self._crops_randomly:
            return int(draw[1]) % (spare_rows + 1), int(draw[2]) % (spare_columns + 1)
        return spare_rows // 2, spare_columns // 2


def read_mean(path: str) -> NDArray[np.float32]:
    """The mean image (C×H×W) of a binaryproto, as compute_image_mean writes it.

    Raises Refusal if it has another number of axes or of images, InputError if it cannot be read.
    """
    mean = blob_array(read_binary(Path(path), pb.BlobProto), path)
    if mean.ndim != 4 or mean.shape[0] != 1 or not mean.size:
        raise Refusal(f"has the mean_file {path} of shape {by(mean.shape)}: one image is expected, 1×C×H×W")
    return np.asarray(mean[0], np.float32)
