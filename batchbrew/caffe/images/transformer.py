"""caffe.io.Transformer: a photograph into the numbers that a net's input takes, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.images.resizing import resize_image
from batchbrew.errors import InputError

Array = NDArray[Any]


class TransformError(InputError, ValueError):
    """A setting, or an image, that does not fit to the net's input."""


class Transformer:
    """What to do to images for each input of a net; `inputs` has the inputs' shapes (N, C, H, W) by name.

    In this order, each step only if it is set: resize, transpose, swap channels, times raw_scale, minus mean, times
    input_scale. So mean and input_scale count in the net's channel order, and mean in units after raw_scale.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, Any] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, Any] = {}

    def preprocess(self, in_: str, data: Array) -> NDArray[np.float32]:
        """The H×W×K image `data` for input `in_`: K×H×W if transposed by (2, 0, 1).

        Unlike pycaffe it never changes `data` itself.
        """
        self._check_input(in_)
        result = np.array(data, np.float32)
        size = tuple(self.inputs[in_][2:])
        if result.shape[:2] != size:
            result = resize_image(result, size)
        if self.transpose.get(in_) is not None:
            result = result.transpose(self.transpose[in_])
        if self.channel_swap.get(in_) is not None:
            result = result[list(self.channel_swap[in_])]
        try:
            if self.raw_scale.get(in_) is not None:
                result *= self.raw_scale[in_]
            if self.mean.get(in_) is not None:
                result -= self.mean[in_]
            if self.input_scale.get(in_) is not None:
                result *= self.input_scale[in_]
        except ValueError as error:
            raise TransformError(
                f"{in_}: a scale or the mean does not fit to the image's {result.shape}: {error}; call "
                "set_transpose, and give a mean of the input's channels"
            ) from error
        return result

    def deprocess(self, in_: str, data: Array) -> Array:
        """The image that `preprocess` made `data` of, but for its size: H×W×K; `data` may be a batch of one."""
        self._check_input(in_)
        result = data.copy()
        while result.ndim >= len(self.inputs[in_]) and len(result) == 1:
            result = result[0]
        if self.transpose.get(in_) is None:
            result = result.squeeze()  # as pycaffe always does, which then cannot transpose grey images
        if self.input_scale.get(in_) is not None:
            result /= self.input_scale[in_]
        if self.mean.get(in_) is not None:
            result += self.mean[in_]
        if self.raw_scale.get(in_) is not None:
            result /= self.raw_scale[in_]
        if self.channel_swap.get(in_) is not None:
            result = result[np.argsort(self.channel_swap[in_])]
        if self.transpose.get(in_) is not None:
            result = result.transpose(np.argsort(self.transpose[in_]))
        return result

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of the image's axes in the net: (2, 0, 1) makes K×H×W of H×W×K."""
        self._check_input(in_)
        axes = len(self.inputs[in_]) - 1
        if sorted(axis % axes for axis in order) != list(range(axes)):
            raise TransformError(
                f"{in_}: transpose {tuple(order)} is no order of the input's {axes} axes: (2, 0, 1) is that of images"
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Which channel of the transposed image is which of the net's: (2, 1, 0) makes BGR of RGB."""
        self._check_input(in_)
        channels = self.inputs[in_][1]
        if len(order) != channels or not all(-channels <= channel < channels for channel in order):
            raise TransformError(
                f"{in_}: channel_swap {tuple(order)} is no order of the input's {channels} channels"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: Any) -> None:
        """Multiply by `scale` before the mean is subtracted: 255 for a net that was trained on 0 to 255."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """Subtract `mean`: one number for each channel, or an image (H×W or C×H×W), resized if need be."""
        self._check_input(in_)
        shape = tuple(self.inputs[in_][1:])
        if mean.ndim == 1:
            if len(mean) != shape[0]:
                raise TransformError(f"{in_}: a mean of {len(mean)} channels, the input has {shape[0]}")
            self.mean[in_] = mean[:, np.newaxis, np.newaxis]
            return
        if mean.ndim not in (2, 3):
            raise TransformError(f"{in_}: a mean of shape {mean.shape}: give C, H×W or C×H×W numbers")
        if mean.ndim == 3 and len(mean) not in (1, shape[0]):
            raise TransformError(f"{in_}: a mean of {len(mean)} channels, the input has {shape[0]}")
        image = mean if mean.ndim == 3 else mean[np.newaxis]
        self.mean[in_] = (
            mean if image.shape == (*image.shape[:1], *shape[1:]) else _resized_mean(image, shape[1:])
        )

    def set_input_scale(self, in_: str, scale: Any) -> None:
        """Multiply by `scale` after the mean was subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise TransformError(f"{in_!r} is not one of the net's inputs: {', '.join(self.inputs)}")


def _resized_mean(mean: Array, size: tuple[int, ...]) -> Array:
    low, high = mean.min(), mean.max()
    if not high > low:  # pycaffe divides 0 by 0 here
        return np.full((len(mean), *size), low, np.float32)
    normal = (mean - low) / (high - low)
    resized = resize_image(normal.transpose(1, 2, 0), size).transpose(2, 0, 1)
    return np.asarray(resized * (high - low) + low)
