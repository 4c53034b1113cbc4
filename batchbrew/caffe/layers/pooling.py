"""Pooling: a maximum or a mean over windows."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.layers.window_pooling import Grid, NativeMaximum, NativeMean, make_pool
from batchbrew.nets.shapes.windows import pooling_windows


@layer("Pooling")
class Pooling(StandardLayer):
    """MAX, AVE or STOCHASTIC; a second top of MAX tells where in its plane each maximum was, as float.

    STOCHASTIC works on the CPU, too, where Caffe ends.
    """

    reads_tops_backward = False
    _indices: Tensor | None = None

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Where the windows are, and how to compute."""
        parameter = self.layer_param.pooling_param
        *planes, height, width = bottom[0].shape
        windows = pooling_windows(parameter, height, width)
        grid = Grid(windows, top[0].shape[2:], (height, width))
        self._pool = make_pool(parameter.pool, grid, prod(planes), self.phase)

    def _numbers(self, bottom: Blob) -> Tensor:
        """PyTorch's own kernels take bfloat16, too."""
        return bottom.held_data if isinstance(self._pool, NativeMaximum | NativeMean) else bottom.data_tensor

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Pool, and keep what the backward pass needs."""
        top[0].data_tensor, self._indices = self._pool.forward(self._numbers(bottom[0]))
        if len(top) > 1:
            assert self._indices is not None
            top[1].data_tensor = self._indices.float()

    def forget(self) -> None:
        """Let go of the places of maxima."""
        self._indices = None

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """To the pixels that the top came from; the mask has no gradient."""
        if propagate_down[0]:
            x = self._numbers(bottom[0])
            bottom[0].diff_tensor = self._pool.backward(top[0].diff_like(x), x, self._indices)
