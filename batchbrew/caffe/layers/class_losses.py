"""Losses of scores against one label for each image, without a softmax of their own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.labels import Labels, read_labels
from batchbrew.caffe.layer import layer
from batchbrew.caffe.loss_layer import LOG_THRESHOLD, LossLayer, image_count
from batchbrew.proto import caffe_pb2 as pb


class ClassLoss(LossLayer):
    """Scores are N × whatever a label can name; labels N, of which those beyond the first N do not count."""

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Raises Refusal for scores of more than four axes, as Caffe does."""
        image_count(bottom[0].shape)

    def rows(self, scores: Blob, tensor: Tensor) -> Tensor:
        """N × the rest."""
        return tensor.reshape(scores.shape[0], -1)

    def labels(self, bottom: Sequence[Blob]) -> Labels:
        """N × 1."""
        images = bottom[0].shape[0]
        first = Blob(images)
        first.data_tensor = bottom[1].data_tensor.reshape(-1)[:images].clone()
        name, classes = self.layer_param.bottom[1], bottom[0].count // images
        return read_labels(first, name, classes).reshape((images, 1))


@layer("HingeLoss")
class HingeLoss(ClassLoss):
    """Σ max(0, 1 + s·x) over all scores (L1), or their squares (L2), per image; s is -1 for the label's, else 1.

    Between the passes the terms are in the bottom's diff, where Caffe has them, too.
    """

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """A score that is nan counts nothing, as in Caffe."""
        labels = self.labels(bottom)
        margins = 1 + self._signed(self.rows(bottom[0], bottom[0].data_tensor), labels)
        margins = torch.where(margins > 0, margins, 0)
        loss = (margins.square() if self._is_l2() else margins).sum() / bottom[0].shape[0]
        top[0].data_tensor = labels.marked(loss)
        bottom[0].diff_tensor = margins.reshape(bottom[0].shape)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient, made of what the forward pass left in the bottom's diff."""
        self.refuse_label_gradient(propagate_down)
        if not propagate_down[0]:
            return
        labels = self.labels(bottom)
        gradient = self._signed(self.rows(bottom[0], bottom[0].diff_tensor), labels)
        gradient = gradient * 2 if self._is_l2() else gradient.sign()
        weight = labels.marked(top[0].diff_tensor / bottom[0].shape[0])
        bottom[0].diff_tensor = (gradient * weight).reshape(bottom[0].shape)

    def _is_l2(self) -> bool:
        return self.layer_param.hinge_loss_param.norm == pb.HingeLossParameter.L2

    def _signed(self, rows: Tensor, labels: Labels) -> Tensor:
        """The label's own with the other sign."""
        return rows.scatter(1, labels.classes, -rows.gather(1, labels.classes))


@layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(ClassLoss):
    """-log(p) of the labels' classes, p the bottom itself; it counts as 1e-20 at least."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """The mean over the images."""
        labels = self.labels(bottom)
        losses = -self._label_probabilities(bottom[0], labels).log()
        top[0].data_tensor = labels.marked(losses.sum() / bottom[0].shape[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: -1/p at the label."""
        self.refuse_label_gradient(propagate_down)
        if not propagate_down[0]:
            return
        labels = self.labels(bottom)
        weight = labels.marked(-top[0].diff_tensor / bottom[0].shape[0])
        slopes = weight / self._label_probabilities(bottom[0], labels)
        zeros = torch.zeros_like(self.rows(bottom[0], bottom[0].data_tensor))
        bottom[0].diff_tensor = zeros.scatter_(1, labels.classes, slopes).reshape(bottom[0].shape)

    def _label_probabilities(self, scores: Blob, labels: Labels) -> Tensor:
        rows = self.rows(scores, scores.data_tensor)
        return rows.gather(1, labels.classes).clamp(min=LOG_THRESHOLD)
