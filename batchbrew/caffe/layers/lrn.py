"""LRN: each number divided by the size of its neighbours (Krizhevsky et al., 2012)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.proto import caffe_pb2 as pb


@layer("LRN")
class LRN(StandardLayer):
    """y = x · s^-β, where s = k + α/n · Σ x² over `local_size` channels around x, n being local_size; within a channel,
    s = 1 + α/n² · Σ x² over as many rows and columns (there is no k).
    """

    _scale: Tensor | None = None

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Which sum to take, and what it is multiplied by: numbers beyond the blob are zeros."""
        parameter = self.layer_param.lrn_param
        _, channels, height, width = bottom[0].shape
        side, reach = parameter.local_size, parameter.local_size // 2
        self._sum: Callable[[Tensor, int], Tensor]
        if parameter.norm_region == pb.LRNParameter.WITHIN_CHANNEL:
            self._sum, self._reach = _over_pixels, min(reach, max(height, width) - 1)
            self._factor, self._shift = parameter.alpha / side**2, 1.0
        else:
            self._sum, self._reach = _over_channels, min(reach, channels - 1)
            self._factor, self._shift = parameter.alpha / side, parameter.k

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Keeps s."""
        x = bottom[0].data_tensor
        self._scale = self._sum(x.square(), self._reach) * self._factor + self._shift
        top[0].data_tensor = x * self._scale.pow(-self.layer_param.lrn_param.beta)

    def forget(self) -> None:
        """Let go of s."""
        self._scale = None

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient dy · s^-β - 2αβ/n · x · Σ (dy · y / s) over the same neighbours.

        Across channels Caffe computes it whether asked for or not, and reads y, which is the top's data; within a
        channel it computes y anew.
        """
        within = self.layer_param.lrn_param.norm_region == pb.LRNParameter.WITHIN_CHANNEL
        if within and not propagate_down[0]:
            return
        assert self._scale is not None
        beta, scale = self.layer_param.lrn_param.beta, self._scale
        x, gradient = bottom[0].data_tensor, top[0].diff_tensor
        power = scale.pow(-beta)
        y = x * power if within else top[0].data_tensor
        ratios = self._sum(gradient * y / scale, self._reach)
        bottom[0].diff_tensor = gradient * power - (2 * self._factor * beta) * x * ratios


def _over_channels(x: Tensor, reach: int) -> Tensor:
    """Of each number and those up to `reach` channels away; exact, where running sums would cancel."""
    channels = x.shape[1]
    padded = functional.pad(x, (0, 0, 0, 0, reach, reach))
    total = padded[:, :channels]
    for offset in range(1, 2 * reach + 1):
        total = total + padded[:, offset : offset + channels]
    return total


def _over_pixels(x: Tensor, reach: int) -> Tensor:
    """Of each number and those up to `reach` rows and columns away."""
    result: Tensor = torch.ops.aten.avg_pool2d(x, [2 * reach + 1] * 2, [1, 1], [reach, reach], False, True, 1)
    return result
