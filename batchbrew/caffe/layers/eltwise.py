"""Eltwise: the sum, product or maximum of blobs of one shape."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.float32 import LOWEST
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.proto import caffe_pb2 as pb


@layer("Eltwise")
class Eltwise(StandardLayer):
    """y = Σ coeff·x, or Π x, or max x, number by number.

    In place a SUM or MAX misses its first bottom, as in Caffe, which clears the top before it reads that.
    """

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Take the factors; they are 1 if none are given."""
        super().setup(bottom, top)
        parameter = self.layer_param.eltwise_param
        self._coeff = list(parameter.coeff) or [1.0] * len(bottom)
        product = parameter.operation == pb.EltwiseParameter.PROD
        self.reads_bottoms_backward = self.reads_tops_backward = product
        self._largest: Tensor | None = None  # of MAX: for each number, which bottom has it

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Combine the bottoms from the first to the last."""
        operation = self.layer_param.eltwise_param.operation
        in_place = bottom[0] is top[0]
        if operation == pb.EltwiseParameter.SUM:
            top[0].data_tensor = self._sum([blob.held_data for blob in bottom], in_place)
            return
        numbers = [blob.data_tensor for blob in bottom]
        if operation == pb.EltwiseParameter.PROD:
            top[0].data_tensor = _product(numbers)
        else:
            top[0].data_tensor = self._maximum(numbers, in_place)

    def _sum(self, numbers: list[Tensor], in_place: bool) -> Tensor:
        if in_place:
            total = torch.zeros_like(numbers[0])
        elif self._coeff[0] == 1:
            total = numbers[0]
        else:
            total = numbers[0] * self._coeff[0]
        for x, coeff in zip(numbers[1:], self._coeff[1:], strict=True):
            total = torch.add(total, x, alpha=coeff)
        return total

    def _maximum(self, numbers: list[Tensor], in_place: bool) -> Tensor:
        """Of two equal first ones the second counts as the largest, later ones only if they are larger."""
        first = torch.full_like(numbers[0], LOWEST) if in_place else numbers[0]
        taken = first > numbers[1]
        largest = torch.where(taken, first, numbers[1])
        which = (~taken).to(torch.int32)
        for index, x in enumerate(numbers[2:], start=2):
            taken = x > largest
            largest = torch.where(taken, x, largest)
            which = torch.where(taken, index, which)
        self._largest = which
        return largest

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Gradients one bottom after the other; the top's is read anew for each, as in place the first changes it."""
        operation = self.layer_param.eltwise_param.operation
        for index, (blob, asked) in enumerate(zip(bottom, propagate_down, strict=True)):
            if not asked:
                continue
            if operation == pb.EltwiseParameter.PROD:
                self._product_gradient(index, top[0], bottom)
            elif operation == pb.EltwiseParameter.SUM:
                self._sum_gradient(index, top[0], blob)
            else:
                assert self._largest is not None, "backward before forward"
                gradient = top[0].diff_tensor
                blob.diff_tensor = torch.where(self._largest == index, gradient, 0.0)

    def _sum_gradient(self, index: int, top: Blob, bottom: Blob) -> None:
        if self._coeff[index] != 1:
            bottom.diff_tensor = top.held_diff * self._coeff[index]
        elif bottom is not top:
            bottom.copy_diff(top)

    def _product_gradient(self, index: int, top: Blob, bottom: Sequence[Blob]) -> None:
        """Of the others, either multiplied anew or, if it need not be stable where x is 0, as y/x."""
        if self.layer_param.eltwise_param.stable_prod_grad:
            others = [blob.data_tensor for other, blob in enumerate(bottom) if other != index]
            factor = _product(others) if len(others) > 1 else others[0].clone()
        else:
            factor = top.data_tensor / bottom[index].data_tensor
        if bottom[index] is top:
            top.diff_tensor = factor  # Caffe writes it there before it reads the top's
        bottom[index].diff_tensor = factor * top.diff_tensor


def _product(numbers: list[Tensor]) -> Tensor:
    result = numbers[0] * numbers[1]
    for x in numbers[2:]:
        result = result * x
    return result
