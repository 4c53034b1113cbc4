"""Losses of distances: EuclideanLoss of predictions from targets, ContrastiveLoss of pairs from each other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import layer
from batchbrew.caffe.loss_layer import LossLayer, image_count
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb

NOT_ZERO = 1e-4  # contrastive_loss_layer.cpp adds it to a distance before it divides by it


class DistanceLoss(LossLayer):
    """Keeps the difference of its first two bottoms from the forward to the backward pass."""

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self.difference = Blob()  # N × the rest

    def allow_force_backward(self, index: int) -> bool:
        """Both of the first two bottoms have a gradient."""
        return index < 2

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Raises Refusal for more than four axes, as Caffe does."""
        images = image_count(bottom[0].shape)
        self.difference.reshape(images, bottom[0].count // images)

    def subtract(self, bottom: Sequence[Blob]) -> Tensor:
        """The first bottom less the second."""
        rows = self.difference.shape
        difference = bottom[0].data_tensor.reshape(rows) - bottom[1].data_tensor.reshape(rows)
        self.difference.data_tensor = difference
        return difference

    def spread(self, gradient: Tensor, propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient of the difference goes to the first bottom, with the other sign to the second."""
        if propagate_down[0]:
            bottom[0].diff_tensor = gradient.reshape(bottom[0].shape)
        if propagate_down[1]:
            bottom[1].diff_tensor = -gradient.reshape(bottom[1].shape)


@layer("EuclideanLoss")
class EuclideanLoss(DistanceLoss):
    """Σ (a - b)² / 2N."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Half the mean squared distance."""
        top[0].data_tensor = self.subtract(bottom).square().sum() / (2 * bottom[0].shape[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: (a - b) / N for a."""
        weight = top[0].diff_tensor / bottom[0].shape[0]
        self.spread(self.difference.data_tensor * weight, propagate_down, bottom)


@layer("ContrastiveLoss")
class ContrastiveLoss(DistanceLoss):
    """For pairs that are alike d², for others max(0, margin - d)²; of all the sum / 2N. d is the distance.

    With `legacy_version` others cost max(0, margin - d²).
    """

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Raises Refusal if it is not told of all pairs whether they are alike."""
        super().reshaped(bottom, top)
        pairs, told = bottom[0].shape[0], bottom[2].count
        if told < pairs:
            raise Refusal(
                f"has {pairs} pairs, but bottom {self.layer_param.bottom[2]} says of {told} whether they are alike"
            )

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Both kinds of pairs, chosen by the third bottom."""
        squares = self.subtract(bottom).square().sum(1)
        apart = self._lack(squares).clamp(min=0)
        unlike = apart if self._is_legacy() else apart.square()
        top[0].data_tensor = torch.where(self._alike(bottom), squares, unlike).sum() / (
            2 * bottom[0].shape[0]
        )

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: along the difference, for others than alike pairs against it; 0 beyond the margin."""
        difference = self.difference.data_tensor
        squares = difference.square().sum(1)
        lack = self._lack(squares)
        push = torch.ones_like(lack) if self._is_legacy() else lack / (squares.sqrt() + NOT_ZERO)
        factors = torch.where(self._alike(bottom), 1, torch.where(lack > 0, -push, 0))
        weight = top[0].diff_tensor / bottom[0].shape[0]
        self.spread(difference * (factors * weight).unsqueeze(1), propagate_down, bottom)

    def _is_legacy(self) -> bool:
        return self.layer_param.contrastive_loss_param.legacy_version

    def _lack(self, squares: Tensor) -> Tensor:
        """By how much a pair is nearer than the margin; negative if it is farther."""
        margin = self.layer_param.contrastive_loss_param.margin
        return margin - (squares if self._is_legacy() else squares.sqrt())

    def _alike(self, bottom: Sequence[Blob]) -> Tensor:
        """Whatever is not 0 without its fraction."""
        return bottom[2].data_tensor.reshape(-1)[: bottom[0].shape[0]].trunc() != 0
