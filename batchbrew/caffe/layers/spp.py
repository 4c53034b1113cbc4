"""SPP: spatial pyramid pooling."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.layers.window_pooling import Grid, Pool, make_pool
from batchbrew.nets.shapes.windows import pyramid_windows


@layer("SPP")
class SPP(StandardLayer):
    """Pools into 1×1, 2×2, 4×4, ... bins and puts all of them in a row; a single level stays an image.

    Its methods have Pooling's numbers.
    """

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """A pool for each level."""
        parameter = self.layer_param.spp_param
        number, channels, height, width = bottom[0].shape
        self._pools: list[Pool] = []
        self._bins: list[list[int]] = []  # of each level, rows and columns
        self._indices: list[Tensor | None] = []
        for level in range(parameter.pyramid_height):
            both = pyramid_windows(level, height, width, parameter.pool)
            windows, bins = (list(each) for each in zip(*both, strict=True))
            grid = Grid(windows, bins, (height, width))
            self._pools.append(make_pool(parameter.pool, grid, number * channels, self.phase))
            self._bins.append(bins)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Pool at each level."""
        x = bottom[0].data_tensor
        levels, self._indices = map(list, zip(*(pool.forward(x) for pool in self._pools), strict=True))
        if len(levels) == 1:
            top[0].data_tensor = levels[0]
        else:
            top[0].data_tensor = torch.cat([level.flatten(1) for level in levels], 1)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The sum over the levels."""
        if not propagate_down[0]:
            return
        x = bottom[0].data_tensor
        number, channels = x.shape[:2]
        lengths = [channels * prod(bins) for bins in self._bins]
        parts = torch.split(top[0].diff_tensor.reshape(number, -1), lengths, 1)
        total: Tensor | None = None
        for pool, bins, indices, part in zip(self._pools, self._bins, self._indices, parts, strict=True):
            gradient = pool.backward(part.reshape(number, channels, *bins), x, indices)
            total = gradient if total is None else total + gradient
        assert total is not None
        bottom[0].diff_tensor = total
