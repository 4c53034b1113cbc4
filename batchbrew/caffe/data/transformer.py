"""transform_param: what a data layer does to each image (data_transformer.cpp)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe import mode
from batchbrew.caffe.data.normalisation import Normalisation, Place, read_mean
from batchbrew.caffe.data.randomness import draws, new_seed
from batchbrew.dataset.images import ImageError
from batchbrew.nets.shapes.registry import Refusal, Shape, by
from batchbrew.proto import caffe_pb2 as pb

Pixels = NDArray[np.uint8] | NDArray[np.float32]  # H×W×C
Draw = Sequence[int]  # three numbers of 64 bits, for mirroring, for the crop's row and column
FIXED = (0, 0, 0)


class DataTransformer:
    """Crop, mirror, mean and scale: (pixel - mean)·scale, float32 as in Caffe.

    A crop is at a random place in TRAIN phase and in the middle in TEST; mirroring is by chance in both. `place` says
    what is taken of an image; `normalise` subtracts and multiplies, later and for a whole batch. Raises
    Refusal, or InputError for a mean file that cannot be read.
    """

    def __init__(self, param: pb.TransformationParameter, phase: int) -> None:
        if param.mean_file and param.mean_value:
            raise Refusal("has both mean_file and mean_value: keep one")
        self._crop = int(param.crop_size)
        self._crops_randomly = phase == mode.TRAIN and self._crop > 0
        self._mirrors = bool(param.mirror)
        self._mean_file = str(param.mean_file)
        mean_image = read_mean(self._mean_file) if param.mean_file else None
        self._mean_shape = None if mean_image is None else mean_image.shape
        self._mean_values = len(param.mean_value)
        self.normalise = Normalisation(
            np.array(param.mean_value, np.float32), mean_image, float(np.float32(param.scale))
        )
        self._seed = new_seed() if self._mirrors or self._crops_randomly else None

    def draws(self, batch: int, images: int) -> Sequence[Draw]:
        """The random numbers of a batch, three for each image."""
        if self._seed is None:
            return [FIXED] * images
        numbers: list[list[int]] = draws(3 * images, self._seed, batch).reshape(images, 3).tolist()
        return numbers

    def shape(self, image: Pixels) -> Shape:
        """Channels, height and width of what becomes of `image`.

        Raises ImageError where its size does not suit the crop or the mean.
        """
        height, width, channels = image.shape
        if self._crop > min(height, width):
            raise ImageError(f"is {height} high and {width} wide, too small for crop_size {self._crop}")
        if self._mean_shape not in (None, (channels, height, width)):
            assert self._mean_shape is not None
            raise ImageError(
                f"is {by((channels, height, width))}, but the mean in {self._mean_file} is "
                f"{by(self._mean_shape)}: they must be alike"
            )
        if self._mean_values not in (0, 1, channels):
            raise ImageError(
                f"has {channels} channels, but there are {self._mean_values} mean_value: give one, or one for each"
            )
        return (channels, self._crop, self._crop) if self._crop else (channels, height, width)

    def place(self, image: Pixels, draw: Draw) -> Place:
        """Where in `image` the crop is; an odd row or column too many stays below, or at the right."""
        mirrored = self._mirrors and bool(draw[0] & 1)
        if not self._crop:
            return Place(0, 0, mirrored)
        spare_rows, spare_columns = image.shape[0] - self._crop, image.shape[1] - self._crop
        if self._crops_randomly:
            return Place(draw[1] % (spare_rows + 1), draw[2] % (spare_columns + 1), mirrored)
        return Place(spare_rows // 2, spare_columns // 2, mirrored)
