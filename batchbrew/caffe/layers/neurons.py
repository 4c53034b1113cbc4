"""Layers that compute each number from one, without parameters that learn."""

from collections.abc import Sequence

import torch

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.forward_only import ForwardOnly
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.proto import caffe_pb2 as pb

LINEAR_FROM = 20  # log(1 + exp(x)) is x from here on, to float32's accuracy


@layer("AbsVal")
class AbsVal(StandardLayer):
    """y = |x|."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Drop the sign."""
        top[0].data_tensor = bottom[0].data_tensor.abs()

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient has the sign of x, and is 0 where x is."""
        if propagate_down[0]:
            bottom[0].diff_tensor = top[0].diff_tensor * bottom[0].data_tensor.sign()


@layer("BNLL")
class BNLL(StandardLayer):
    """y = log(1 + exp(x)), the binomial normal log likelihood. In place its gradient is taken at y, as in Caffe."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Softplus, as others call it."""
        top[0].data_tensor = torch.nn.functional.softplus(bottom[0].data_tensor, threshold=LINEAR_FROM)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy·sigmoid(x)."""
        if propagate_down[0]:
            x, gradient = bottom[0].data_tensor, top[0].diff_tensor
            bottom[0].diff_tensor = torch.ops.aten.softplus_backward(gradient, x, 1, LINEAR_FROM)


@layer("Sigmoid")
class Sigmoid(StandardLayer):
    """y = 1 / (1 + exp(-x)). The backward pass reads y alone."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Squash to 0 ... 1."""
        top[0].data_tensor = torch.sigmoid(bottom[0].data_tensor)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy·y·(1 - y)."""
        if propagate_down[0]:
            y, gradient = top[0].data_tensor, top[0].diff_tensor
            bottom[0].diff_tensor = torch.ops.aten.sigmoid_backward(gradient, y)


@layer("TanH")
class TanH(StandardLayer):
    """y = tanh(x). The backward pass reads y alone."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Squash to -1 ... 1."""
        top[0].data_tensor = torch.tanh(bottom[0].data_tensor)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy·(1 - y²)."""
        if propagate_down[0]:
            y, gradient = top[0].data_tensor, top[0].diff_tensor
            bottom[0].diff_tensor = torch.ops.aten.tanh_backward(gradient, y)


@layer("Swish")
class Swish(StandardLayer):
    """y = x·s with s = sigmoid(beta·x). The backward pass reads y, and s, which it keeps: in place it is right."""

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self._gate = Blob()

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """A gate for each number."""
        self._gate.reshape_like(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Let through as much as the gate is open."""
        x = bottom[0].data_tensor
        gate = torch.sigmoid(self.layer_param.swish_param.beta * x)
        self._gate.data_tensor = gate
        top[0].data_tensor = x * gate

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy·(beta·y + s·(1 - beta·y))."""
        if not propagate_down[0]:
            return
        scaled = self.layer_param.swish_param.beta * top[0].data_tensor
        bottom[0].diff_tensor = top[0].diff_tensor * (scaled + self._gate.data_tensor * (1 - scaled))


@layer("Threshold")
class Threshold(ForwardOnly):
    """y = 1 where x is above `threshold`, else 0."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Compare."""
        top[0].data_tensor = (bottom[0].data_tensor > self.layer_param.threshold_param.threshold).float()
