"""Accuracy: how often the label's class is among those with the highest scores."""

from collections.abc import Sequence

import torch

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.forward_only import ForwardOnly
from batchbrew.caffe.labels import ignored_label, read_labels
from batchbrew.caffe.layer import layer
from batchbrew.nets.shapes.axes import canonical_axis


@layer("Accuracy")
class Accuracy(ForwardOnly):
    """The share of places whose label is right; a second top has it for each class, 0 for one that does not occur.

    A label is right when fewer than `top_k` other classes have a score as high as its own, or higher: equal scores
    count against it, and all-zero scores give 0. (Caffe up to 2017 sorted scores together with the classes' numbers, so
    that of equal scores the higher number won.) A score that is nan is not as high as any; if it is the label's own,
    the label is right.
    """

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """0 where no label counts."""
        parameter = self.layer_param.accuracy_param
        scores, shape = bottom[0].data_tensor, bottom[0].shape
        axis = canonical_axis(shape, parameter.axis)
        labels = read_labels(bottom[1], self.layer_param.bottom[1], shape[axis], ignored_label(parameter))
        labels = labels.reshape((*shape[:axis], 1, *shape[axis + 1 :]))
        as_high = (scores >= scores.gather(axis, labels.classes)).sum(axis, keepdim=True)  # itself, too
        right = (as_high <= parameter.top_k).float()
        counted = torch.ones_like(right) if labels.kept is None else labels.kept.float()
        right = right * counted
        top[0].data_tensor = labels.marked(right.sum() / counted.sum().clamp(min=1))
        if len(top) == 2:
            zeros, classes = scores.new_zeros(shape[axis]), labels.classes.reshape(-1)
            occurring = zeros.scatter_add(0, classes, counted.reshape(-1))
            found = zeros.scatter_add(0, classes, right.reshape(-1))
            top[1].data_tensor = labels.marked(found / occurring.clamp(min=1))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Raises Refusal if a gradient is asked for."""
        if any(propagate_down):
            super().backward(top, propagate_down, bottom)
