"""ReLU and its like: the identity above a point, something else below it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.proto import caffe_pb2 as pb

DEFAULT_SLOPE = 0.25  # prelu_layer.cpp, where no filler is given


@layer("ReLU")
class ReLU(StandardLayer):
    """y = max(0, x) + negative_slope·min(0, x).

    In place, the backward pass has y where x was: the sign is the same as long as the slope is not negative.
    """

    reads_tops_backward = False

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Rectify."""
        slope = self.layer_param.relu_param.negative_slope
        x = bottom[0].held_data
        top[0].data_tensor = torch.nn.functional.leaky_relu(x, slope) if slope else torch.relu(x)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy where x > 0, negative_slope·dy elsewhere."""
        if not propagate_down[0]:
            return
        slope = self.layer_param.relu_param.negative_slope
        x = bottom[0].held_data
        gradient = top[0].diff_like(x)
        if slope:
            bottom[0].diff_tensor = torch.ops.aten.leaky_relu_backward(gradient, x, slope, False)
        else:
            bottom[0].diff_tensor = torch.ops.aten.threshold_backward(gradient, x, 0)


@layer("PReLU")
class PReLU(StandardLayer):
    """y = max(0, x) + slope·min(0, x), with a learned slope for each channel, or one for all of them.

    In place it keeps x for the backward pass, as Caffe does.
    """

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self._kept = Blob()

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """Of the slopes: 0.25 if none is given."""
        parameter = self.layer_param.prelu_param
        default = pb.FillerParameter(type="constant", value=DEFAULT_SLOPE)
        return [parameter.filler if parameter.HasField("filler") else default]

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """In place, x is kept in a blob of its own."""
        if bottom[0] is top[0]:
            self._kept.reshape_like(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Rectify."""
        x = bottom[0].data_tensor
        if bottom[0] is top[0]:
            self._kept.data_tensor = x = bottom[0].lasting_data
        top[0].data_tensor = torch.where(x > 0, x, x * self._slopes(x))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Gradients of the slopes, from where x ≤ 0, and of x."""
        x = (self._kept if bottom[0] is top[0] else bottom[0]).data_tensor
        gradient = top[0].diff_tensor
        if self.param_propagate_down[0]:
            below = torch.where(x > 0, 0, gradient * x)
            shared = self.layer_param.prelu_param.channel_shared
            axes = [axis for axis in range(x.dim()) if axis != 1 or shared]
            self.blobs[0].add_diff(below.sum(axes))
        if propagate_down[0]:
            bottom[0].diff_tensor = torch.where(x > 0, gradient, gradient * self._slopes(x))

    def _slopes(self, x: Tensor) -> Tensor:
        """Shaped so that channels meet channels."""
        slopes = self.blobs[0].data_tensor
        return slopes.reshape(-1, *[1] * (x.dim() - 2))


@layer("ELU")
class ELU(StandardLayer):
    """y = x where x > 0, alpha·(exp(x) - 1) elsewhere. The backward pass reads both x and y."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Rectify."""
        alpha = self.layer_param.elu_param.alpha
        top[0].data_tensor = torch.nn.functional.elu(bottom[0].data_tensor, alpha)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy where x > 0, (y + alpha)·dy elsewhere."""
        if not propagate_down[0]:
            return
        x, y, gradient = bottom[0].data_tensor, top[0].data_tensor, top[0].diff_tensor
        alpha = self.layer_param.elu_param.alpha
        bottom[0].diff_tensor = torch.where(x > 0, gradient, gradient * (y + alpha))


@layer("Clip")
class Clip(StandardLayer):
    """y = x, but `min` at least and `max` at most. In place, its backward pass finds nothing that was clipped."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Clip; where `min` is above `max`, all becomes `min`."""
        parameter = self.layer_param.clip_param
        low, high = parameter.min, max(parameter.min, parameter.max)
        top[0].data_tensor = bottom[0].data_tensor.clamp(low, high)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy where x is within the bounds."""
        if not propagate_down[0]:
            return
        parameter, x = self.layer_param.clip_param, bottom[0].data_tensor
        within = (x >= parameter.min) & (x <= parameter.max)
        bottom[0].diff_tensor = torch.where(within, top[0].diff_tensor, 0)
