"""Softmax, and the loss on top of it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.float32 import SMALLEST
from batchbrew.caffe.labels import Labels, ignored_label, read_labels
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.loss_layer import LossLayer, normalization_of, normalizer
from batchbrew.nets.shapes.axes import canonical_axis, count
from batchbrew.proto import caffe_pb2 as pb


@layer("Softmax")
class Softmax(StandardLayer):
    """y = exp(x) / Σ exp(x) along `axis`. The backward pass reads y alone."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Probabilities."""
        top[0].data_tensor = torch.softmax(bottom[0].data_tensor, self._axis(bottom[0]))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: y·(dy - Σ dy·y); like Caffe's it does not ask whether it is wanted.

        In this form little is lost where all dy are alike.
        """
        y, gradient = top[0].data_tensor, top[0].diff_tensor
        mean = (gradient * y).sum(self._axis(bottom[0]), keepdim=True)
        bottom[0].diff_tensor = y * (gradient - mean)

    def _axis(self, bottom: Blob) -> int:
        return canonical_axis(bottom.shape, self.layer_param.softmax_param.axis)


@layer("SoftmaxWithLoss")
class SoftmaxWithLoss(LossLayer):
    """-log(p) of the labels' classes, p the softmax of the scores; divided by what `loss_param` says.

    p counts as FLT_MIN at least, so that no place costs more than 87.3365. Scores: one more axis than labels have
    places, e.g. N×C×H×W for N×H×W.
    """

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self._probabilities = Blob()

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Probabilities are kept for the backward pass."""
        self._probabilities.reshape_like(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Only the labels' own probabilities go through the logarithm."""
        axis, labels = self._axis(bottom[0]), self._labels(bottom)
        p = torch.softmax(bottom[0].data_tensor, axis)
        self._probabilities.data_tensor = p
        losses = -p.gather(axis, labels.classes).clamp(min=SMALLEST).log()
        if labels.kept is not None:
            losses = torch.where(labels.kept, losses, 0)
        top[0].data_tensor = labels.marked(losses.sum() / self._divisor(bottom[0], labels))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: p, less 1 at the label; 0 where it is ignored."""
        self.refuse_label_gradient(propagate_down)
        if not propagate_down[0]:
            return
        axis, labels = self._axis(bottom[0]), self._labels(bottom)
        p = self._probabilities.data_tensor
        gradient = p.scatter_add(axis, labels.classes, p.new_full((), -1).expand_as(labels.classes))
        if labels.kept is not None:
            gradient.masked_fill_(~labels.kept, 0)
        weight = top[0].diff_tensor / self._divisor(bottom[0], labels)
        bottom[0].diff_tensor = gradient.mul_(labels.marked(weight))

    def _axis(self, scores: Blob) -> int:
        return canonical_axis(scores.shape, self.layer_param.softmax_param.axis)

    def _labels(self, bottom: Sequence[Blob]) -> Labels:
        """Of the scores' shape, with 1 for the number of classes."""
        axis, shape = self._axis(bottom[0]), bottom[0].shape
        ignored = ignored_label(self.layer_param.loss_param)
        labels = read_labels(bottom[1], self.layer_param.bottom[1], shape[axis], ignored)
        return labels.reshape((*shape[:axis], 1, *shape[axis + 1 :]))

    def _divisor(self, scores: Blob, labels: Labels) -> float | Tensor:
        normalization = normalization_of(self.layer_param.loss_param, pb.LossParameter.VALID)
        images = count(scores.shape, 0, self._axis(scores))
        return normalizer(normalization, images, labels.classes.numel(), labels.kept_count())
