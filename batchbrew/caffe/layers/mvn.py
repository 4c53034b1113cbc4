"""MVN: mean-variance normalisation of each image, or of each channel of each image."""

from collections.abc import Sequence

from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.registry import Refusal, by


@layer("MVN")
class MVN(StandardLayer):
    """y = (x - mean) / (deviation + eps), N×C×H×W, over H×W or, with `across_channels`, over C×H×W.

    Without `normalize_variance` nothing is divided.
    """

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the top four axes. Raises Refusal in place on a blob of fewer: the layer that made it could no longer
        tell what its gradient is for.
        """
        if bottom[0] is top[0] and len(bottom[0].shape) != 4:
            raise Refusal(
                f"cannot work in place on {by(bottom[0].shape)}, of which it makes four axes: name its top otherwise"
            )
        super().reshape(bottom, top)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Subtract the mean, divide by the deviation."""
        parameter = self.layer_param.mvn_param
        x = bottom[0].data_tensor.reshape(top[0].shape)
        y = x - x.mean(self._axes(), keepdim=True)
        if parameter.normalize_variance:
            variance = y.square().mean(self._axes(), keepdim=True)
            self._divisor = variance.sqrt() + parameter.eps
            y = y / self._divisor
        top[0].data_tensor = y

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient. In place and with variance it is wrong, as Caffe's is, which has written over dy by the time it
        reads it again.
        """
        gradient = top[0].diff_tensor
        if not self.layer_param.mvn_param.normalize_variance:
            result = gradient - gradient.mean(self._axes(), keepdim=True)
        elif bottom[0] is top[0]:
            result = self._in_place(top[0].data_tensor, gradient)
        else:
            result = self._through_variance(top[0].data_tensor, gradient)
        bottom[0].diff_tensor = result.reshape(bottom[0].shape)

    def _through_variance(self, y: Tensor, gradient: Tensor) -> Tensor:
        """(dy - mean(dy) - mean(dy·y)·y) / deviation."""
        mean = gradient.mean(self._axes(), keepdim=True)
        slope = (gradient * y).mean(self._axes(), keepdim=True)
        return (gradient - (y * slope + mean)) / self._divisor

    def _in_place(self, y: Tensor, gradient: Tensor) -> Tensor:
        """What becomes of that where every step is written to where dy was."""
        product = y * (gradient * y).sum(self._axes(), keepdim=True)
        total = product + product.sum(self._axes(), keepdim=True)
        count = y.numel() // self._divisor.numel()
        return total * (-2 / count) / self._divisor

    def _axes(self) -> list[int]:
        return [1, 2, 3] if self.layer_param.mvn_param.across_channels else [2, 3]
