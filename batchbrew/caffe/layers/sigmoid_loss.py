"""SigmoidCrossEntropyLoss: independent yes-or-no questions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.labels import ignored_label
from batchbrew.caffe.layer import layer
from batchbrew.caffe.loss_layer import LossLayer, normalization_of, normalizer
from batchbrew.proto import caffe_pb2 as pb


@layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(LossLayer):
    """-t·log(s) - (1 - t)·log(1 - s) with s = sigmoid(x), for each score x and its target t; any numbers from 0 to 1.

    The normalisation is BATCH_SIZE where none is given: other losses have VALID.
    """

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self._sigmoid = Blob()

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """The sigmoids are kept for the backward pass."""
        self._sigmoid.reshape_like(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """In a form that does not overflow."""
        x, targets = bottom[0].data_tensor, self._targets(bottom)
        self._sigmoid.data_tensor = torch.sigmoid(x)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(x, targets, reduction="none")
        kept = self._kept(targets)
        if kept is not None:
            losses = torch.where(kept, losses, 0)
        top[0].data_tensor = losses.sum() / self._divisor(bottom[0], kept)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: s - t; 0 where the target is ignored."""
        self.refuse_label_gradient(propagate_down)
        if not propagate_down[0]:
            return
        targets = self._targets(bottom)
        gradient = self._sigmoid.data_tensor - targets
        kept = self._kept(targets)
        if kept is not None:
            gradient = torch.where(kept, gradient, 0)
        bottom[0].diff_tensor = gradient * (top[0].diff_tensor / self._divisor(bottom[0], kept))

    def _targets(self, bottom: Sequence[Blob]) -> Tensor:
        return bottom[1].data_tensor.reshape(bottom[0].shape)

    def _kept(self, targets: Tensor) -> Tensor | None:
        """Which targets count; None: all of them. Fractions are cut off before they are compared, as C++ does."""
        ignored = ignored_label(self.layer_param.loss_param)
        return None if ignored is None else targets.trunc() != ignored

    def _divisor(self, scores: Blob, kept: Tensor | None) -> float | Tensor:
        normalization = normalization_of(self.layer_param.loss_param, pb.LossParameter.BATCH_SIZE)
        counted = scores.count if kept is None else kept.sum()
        return normalizer(normalization, scores.shape[0], scores.count, counted)
