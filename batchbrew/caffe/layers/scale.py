"""Scale and Bias: products and sums with factors and shifts, which are learned or another blob."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.axes import canonical_axis
from batchbrew.proto import caffe_pb2 as pb


class Span:
    """Where factors lie along the axes of x: its shape from `axis` on begins with theirs. One without axes is for all.

    `before`, `behind`: how many numbers of x there are in the axes before those, and in the axes behind them.
    """

    def __init__(self, x: Blob, factors: Blob, axis: int) -> None:
        start = canonical_axis(x.shape, axis) if factors.shape else 0
        end = start + len(factors.shape)
        self._factors = factors.shape
        self._axes_behind = len(x.shape) - end
        self._others = [i for i in range(len(x.shape)) if not start <= i < end]
        self.before, self.behind = prod(x.shape[:start]), prod(x.shape[end:])

    def spread(self, factors: Tensor) -> Tensor:
        """The factors in the shape in which they meet x."""
        return factors.reshape((*self._factors, *[1] * self._axes_behind))

    def gathered(self, numbers: Tensor) -> Tensor:
        """The sums of `numbers`, of x's shape, for each factor; a tensor of its own."""
        return numbers.sum(self._others) if self._others else numbers.clone()


@layer("Scale")
class Scale(StandardLayer):
    """y = x·factors (+ shift): the factors are the second bottom, or learned, the shift is learned."""

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Make the parameters; `_kept` is what the layer, in place, has written over."""
        super().setup(bottom, top)
        self._kept: Tensor | None = None

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """Factors are 1 unless something else is asked for, shifts 0."""
        parameter = self.layer_param.scale_param
        ones = pb.FillerParameter(type="constant", value=1)
        factors = parameter.filler if parameter.HasField("filler") else ones
        learned = [factors] if len(self.layer_param.bottom) == 1 else []
        return [*learned, parameter.bias_filler]

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Where the factors lie."""
        self._span = Span(bottom[0], self._factors(bottom), self.layer_param.scale_param.axis)

    def _factors(self, bottom: Sequence[Blob]) -> Blob:
        return bottom[1] if len(bottom) > 1 else self.blobs[0]

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Multiply, then add."""
        in_place = bottom[0] is top[0]
        self._kept = bottom[0].lasting_data if in_place else None
        y = bottom[0].data_tensor * self._span.spread(self._factors(bottom).data_tensor)
        if self.layer_param.scale_param.bias_term:
            y.add_(self._span.spread(self.blobs[-1].data_tensor))
        top[0].data_tensor = y

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Gradients of shift, factors and x."""
        gradient, factors = top[0].diff_tensor, self._factors(bottom)
        if self.layer_param.scale_param.bias_term and self.param_propagate_down[-1]:
            self.blobs[-1].add_diff(self._span.gathered(gradient))
        learned = len(bottom) == 1
        if self.param_propagate_down[0] if learned else propagate_down[1]:
            x = bottom[0].data_tensor if self._kept is None else self._kept
            sums = self._span.gathered(gradient * x)
            if learned:
                self.learn(sums, None)
            else:
                factors.diff_tensor = sums
        if propagate_down[0]:
            bottom[0].diff_tensor = gradient * self._span.spread(factors.data_tensor)

    def learn(self, of_factors: Tensor | None, of_shifts: Tensor | None) -> None:
        """Take the gradients of its parameters."""
        if of_factors is not None:
            if self._accumulates():
                self.blobs[0].add_diff(of_factors)
            else:
                self.blobs[0].diff_tensor = of_factors
        if of_shifts is not None:
            self.blobs[-1].add_diff(of_shifts)

    def keep(self, numbers: Tensor | None) -> None:
        """What its bottom held, if it works in place, for a backward pass."""
        self._kept = numbers

    def forget(self) -> None:
        """Let go of it."""
        self._kept = None

    def _accumulates(self) -> bool:
        """Caffe forgets the gradients of earlier passes (those of `iter_size`) for all but a single factor where
        only one number, or only axes behind the factors, are to be summed: with batches of one image.
        """
        return self._span.before > 1 or (self.blobs[0].count == 1 and self._span.behind > 1)


@layer("Bias")
class Bias(StandardLayer):
    """y = x + shift, which is the second bottom, or learned."""

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """Of the shift."""
        return [self.layer_param.bias_param.filler]

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Where the shifts lie."""
        self._span = Span(bottom[0], self._shift(bottom), self.layer_param.bias_param.axis)

    def _shift(self, bottom: Sequence[Blob]) -> Blob:
        return bottom[1] if len(bottom) > 1 else self.blobs[0]

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Add."""
        top[0].data_tensor = bottom[0].data_tensor + self._span.spread(self._shift(bottom).data_tensor)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Gradients of x and of the shift."""
        if propagate_down[0] and bottom[0] is not top[0]:
            bottom[0].copy_diff(top[0])
        if len(bottom) > 1 and propagate_down[1]:
            bottom[1].diff_tensor = self._span.gathered(top[0].diff_tensor)
        elif len(bottom) == 1 and self.param_propagate_down[0]:
            self.blobs[0].add_diff(self._span.gathered(top[0].diff_tensor))
