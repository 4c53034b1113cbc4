"""Reduction, of all numbers from an axis on to a single one, and Tile, which repeats."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.axes import canonical_axis
from batchbrew.proto import caffe_pb2 as pb


@layer("Reduction")
class Reduction(StandardLayer):
    """coeff times the sum, mean, sum of sizes (ASUM) or sum of squares (SUMSQ) of all that lies behind `axis`."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Add up."""
        operation, rows = (
            self.layer_param.reduction_param.operation,
            self._rows(bottom[0].data_tensor, top[0]),
        )
        if operation == pb.ReductionParameter.ASUM:
            rows = rows.abs()
        elif operation == pb.ReductionParameter.SUMSQ:
            rows = rows.square()
        top[0].data_tensor = (rows.sum(1) * self._factor(rows)).reshape(top[0].shape)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient of each of the numbers added up."""
        if not propagate_down[0]:
            return
        operation, rows = (
            self.layer_param.reduction_param.operation,
            self._rows(bottom[0].data_tensor, top[0]),
        )
        gradient = top[0].diff_tensor.reshape(-1, 1) * self._factor(rows)
        if operation == pb.ReductionParameter.ASUM:
            result = rows.sign() * gradient
        elif operation == pb.ReductionParameter.SUMSQ:
            result = rows * (gradient * 2)
        else:
            result = gradient.expand_as(rows).contiguous()
        bottom[0].diff_tensor = result.reshape(bottom[0].shape)

    def _factor(self, rows: Tensor) -> float:
        parameter = self.layer_param.reduction_param
        mean = parameter.operation == pb.ReductionParameter.MEAN
        return parameter.coeff / rows.shape[1] if mean else parameter.coeff

    def _rows(self, numbers: Tensor, top: Blob) -> Tensor:
        """What is added up for each number of the top."""
        return numbers.reshape(top.count, -1)


@layer("Tile")
class Tile(StandardLayer):
    """The bottom `tiles` times, one behind the other along an axis."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Repeat."""
        parameter = self.layer_param.tile_param
        x = bottom[0].data_tensor
        top[0].data_tensor = torch.cat([x] * parameter.tiles, canonical_axis(bottom[0].shape, parameter.axis))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The sum of the tiles' gradients."""
        if not propagate_down[0]:
            return
        parameter, shape = self.layer_param.tile_param, bottom[0].shape
        before = prod(shape[: canonical_axis(shape, parameter.axis)])
        tiles = top[0].diff_tensor.reshape(before, parameter.tiles, -1)
        bottom[0].diff_tensor = tiles.sum(1).reshape(shape)
