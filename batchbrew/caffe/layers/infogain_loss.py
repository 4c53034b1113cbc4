"""InfogainLoss: a softmax loss in which mistaking one class for another has its own price."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.labels import Labels, ignored_label, read_labels
from batchbrew.caffe.layer import layer
from batchbrew.caffe.loss_layer import LOG_THRESHOLD, LossLayer, normalizer
from batchbrew.errors import InputError
from batchbrew.nets.shapes.axes import canonical_axis, count
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array


@layer("InfogainLoss")
class InfogainLoss(LossLayer):
    """-Σ H[label, k]·log(p[k]), p the softmax of the scores, H a matrix of classes × classes.

    H is the third bottom, or in the file `source` (a binary BlobProto). A second top has p.
    """

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self._probabilities = Blob()
        self._matrix = Blob()

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Read the matrix. Raises Refusal if that cannot be done."""
        super().setup(bottom, top)
        if len(bottom) == 3:
            return
        source = self.layer_param.infogain_loss_param.source
        try:
            matrix = blob_array(read_binary(source, pb.BlobProto), f"the infogain matrix in {source}")
        except InputError as error:
            raise Refusal(f"has no infogain matrix: {error}") from None
        self._matrix.reshape(*matrix.shape)
        self._matrix.data[...] = matrix

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Probabilities are kept for the backward pass. Raises Refusal if the file's matrix is of another size."""
        self._probabilities.reshape_like(bottom[0])
        classes = bottom[0].shape[self._axis(bottom[0])]
        if len(bottom) < 3 and self._matrix.count != classes**2:
            raise Refusal(
                f"has {self._matrix.count} numbers in {self.layer_param.infogain_loss_param.source}: "
                f"for {classes} classes it must hold {classes**2}"
            )

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Every class's probability counts, 1e-20 at least."""
        p = torch.softmax(bottom[0].data_tensor, self._axis(bottom[0]))
        self._probabilities.data_tensor = p
        labels = self._labels(bottom)
        losses = -self._prices(bottom, labels) * self._by_class(bottom[0], p).clamp(min=LOG_THRESHOLD).log()
        if labels.kept is not None:
            losses = torch.where(labels.kept.unsqueeze(1), losses, 0)
        top[0].data_tensor = labels.marked(losses.sum() / self._divisor(labels))
        if len(top) == 2:
            top[1].share_data(self._probabilities)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: p·Σ H[label] - H[label]; 0 where the label is ignored."""
        self.refuse_label_gradient(propagate_down)
        if not propagate_down[0]:
            return
        labels = self._labels(bottom)
        prices = self._prices(bottom, labels)
        p = self._by_class(bottom[0], self._probabilities.data_tensor)
        gradient = p * prices.sum(1, keepdim=True) - prices
        if labels.kept is not None:
            gradient.masked_fill_(~labels.kept.unsqueeze(1), 0)
        weight = labels.marked(top[0].diff_tensor / self._divisor(labels))
        bottom[0].diff_tensor = gradient.mul_(weight).reshape(bottom[0].shape)

    def _axis(self, scores: Blob) -> int:
        return canonical_axis(scores.shape, self.layer_param.infogain_loss_param.axis)

    def _by_class(self, scores: Blob, tensor: Tensor) -> Tensor:
        """What is of the scores' shape, as outer × classes × inner."""
        axis = self._axis(scores)
        return tensor.reshape(count(scores.shape, 0, axis), scores.shape[axis], -1)

    def _labels(self, bottom: Sequence[Blob]) -> Labels:
        """Outer × inner."""
        axis, shape = self._axis(bottom[0]), bottom[0].shape
        ignored = ignored_label(self.layer_param.loss_param)
        labels = read_labels(bottom[1], self.layer_param.bottom[1], shape[axis], ignored)
        return labels.reshape((count(shape, 0, axis), count(shape, axis + 1)))

    def _prices(self, bottom: Sequence[Blob], labels: Labels) -> Tensor:
        """The rows of H that belong to the labels: outer × classes × inner."""
        classes = bottom[0].shape[self._axis(bottom[0])]
        matrix = bottom[2] if len(bottom) == 3 else self._matrix
        return matrix.data_tensor.reshape(classes, classes)[labels.classes].movedim(-1, 1)

    def _divisor(self, labels: Labels) -> float | Tensor:
        images, places = labels.classes.shape[0], labels.classes.numel()
        return normalizer(self.layer_param.loss_param.normalization, images, places, labels.kept_count())
