"""MemoryData: images and labels that a program hands over."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.registry import Refusal, by


@layer("MemoryData")
class MemoryData(StandardLayer):
    """Batch after batch of two arrays, from their beginning again when they end.

    The arrays are not copied: what is written to them later is seen by the next pass. transform_param has no effect
    on them, as in Caffe.
    """

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes."""
        super().setup(bottom, top)
        super().reshape(bottom, top)
        self._data: NDArray[np.float32] | None = None
        self._labels: NDArray[np.float32] | None = None
        self._place = 0

    def set_arrays(self, data: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Take images N×C×H×W and labels N×1×1×1, float32 and C-contiguous, N a multiple of the batch size.

        Raises Refusal for other arrays.
        """
        param = self.layer_param.memory_data_param
        _check(data, "data", (param.channels, param.height, param.width))
        _check(labels, "labels", (1, 1, 1))
        if len(data) != len(labels):
            raise Refusal(f"takes as many labels as images, not {len(labels)} for {len(data)}")
        if not len(data) or len(data) % param.batch_size:
            raise Refusal(f"takes a multiple of its batch_size {param.batch_size}, not {len(data)} images")
        self._data, self._labels, self._place = data, labels, 0

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Nothing: each batch has the shape that the prototxt says."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the next batch; from now on labels are N×1×1×1, as in Caffe, which has N until then."""
        if self._data is None or self._labels is None:
            raise Refusal("has nothing to give yet: call net.set_input_arrays(data, labels) first")
        batch = slice(self._place, self._place + self.layer_param.memory_data_param.batch_size)
        for blob, array in zip(top, (self._data[batch], self._labels[batch]), strict=True):
            blob.reshape(*array.shape)
            blob.data_tensor = torch.from_numpy(array.copy())
        self._place = batch.stop % len(self._data)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Nothing to propagate."""


def _check(array: Any, name: str, image: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray):
        raise Refusal(f"takes numpy arrays; {name} is a {type(array).__name__}")
    if array.dtype != np.float32:
        raise Refusal(f"takes float32; {name} is {array.dtype}: use {name}.astype(np.float32)")
    if array.ndim != 4 or array.shape[1:] != image:
        raise Refusal(f"takes {name} of shape N×{by(image)}, not {by(array.shape)}")
    if not array.flags.c_contiguous:
        raise Refusal(f"takes C-contiguous arrays; {name} is not one: use np.ascontiguousarray({name})")
