"""ReLU and its like."""

from collections.abc import Sequence

import torch

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer


@layer("ReLU")
class ReLU(StandardLayer):
    """y = max(0, x) + negative_slope·min(0, x).

    In place, the backward pass has y where x was: the sign is the same as long as the slope is positive.
    """

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Rectify."""
        slope = self.layer_param.relu_param.negative_slope
        x = bottom[0].data_tensor
        top[0].data_tensor = torch.relu(x) if not slope else torch.nn.functional.leaky_relu(x, slope)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy where x > 0, negative_slope·dy elsewhere."""
        if not propagate_down[0]:
            return
        slope = self.layer_param.relu_param.negative_slope
        x, gradient = bottom[0].data_tensor, top[0].diff_tensor
        bottom[0].diff_tensor = torch.where(x > 0, gradient, gradient * slope)
