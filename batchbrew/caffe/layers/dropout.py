"""Dropout: while training, some numbers become 0."""

from collections.abc import Sequence

import torch

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb


@layer("Dropout")
class Dropout(StandardLayer):
    """In TRAIN phase every number is 0 with probability `dropout_ratio`, or else divided by what is left, 1 - ratio.

    In TEST phase it is the identity. The backward pass uses the mask of the forward pass.
    """

    reads_bottoms_backward = reads_tops_backward = False

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self._mask = Blob()  # 0, or 1 / (1 - ratio)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Raises Refusal if nothing, or less than that, would be left."""
        super().setup(bottom, top)
        ratio = self.layer_param.dropout_param.dropout_ratio
        if self.phase == pb.TRAIN and not 0 <= ratio < 1:
            raise Refusal(f"dropout_ratio must be from 0 to below 1, not {ratio:g}")

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """The mask has a number for each of the bottom's."""
        if self.phase == pb.TRAIN:
            self._mask.reshape_like(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Draw a new mask."""
        if self.phase != pb.TRAIN:
            if bottom[0] is not top[0]:
                top[0].copy_data(bottom[0])
            return
        x = bottom[0].held_data
        left = 1 - self.layer_param.dropout_param.dropout_ratio
        mask = torch.empty_like(x).bernoulli_(left, generator=mode.device_generator()).mul_(1 / left)
        self._mask.data_tensor = mask
        top[0].data_tensor = x * mask

    def forget(self) -> None:
        """Let go of the mask."""
        self._mask.clear_data()

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy, through the mask."""
        if not propagate_down[0]:
            return
        if self.phase == pb.TRAIN:
            bottom[0].diff_tensor = top[0].held_diff * self._mask.held_data
        elif bottom[0] is not top[0]:
            bottom[0].copy_diff(top[0])
