"""BatchNorm: every channel less its mean, divided by its standard deviation (Ioffe and Szegedy, 2015)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb

STATISTICS = 3  # blobs: the sums of means and of variances, and the factor to divide both by

BLOCK = 2**18  # numbers


class Normalised(NamedTuple):
    """A batch of unit variance, and what it was before: `mean`, `variance` (of numbers about their mean, times
    m/(m - 1) for m numbers in a channel) and `inverse`, 1/√(variance + eps), C numbers each.
    """

    numbers: Tensor
    mean: Tensor
    variance: Tensor
    inverse: Tensor


@layer("BatchNorm")
class BatchNorm(StandardLayer):
    """y = (x - mean) / √(variance + eps), with N×C... numbers, mean and variance for each of the C channels.

    In the TRAIN phase they are the batch's, and are added to the blobs: blob ← blob·fraction + new, where the factor's
    new is 1. In the TEST phase they are blob/factor. `use_global_stats` chooses whatever the phase is.
    """

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Make the statistics, all zero, and set their learning rates to zero as Caffe does."""
        parameter = self.layer_param.batch_norm_param
        if len(self.answer(bottom, top).parameters) != STATISTICS:
            raise Refusal(
                "has scale_bias, NVIDIA Caffe's BatchNorm with a Scale in it, whose statistics are other ones: write "
                "it without, and a Scale layer with bias_term: true behind it"
            )
        super().setup(bottom, top)
        self._uses_global = (
            parameter.use_global_stats if parameter.HasField("use_global_stats") else self.phase == pb.TEST
        )
        self._numbers: Tensor | None = None  # those of the last forward pass with the batch's own statistics
        self._inverse: Tensor | None = None
        self._leave_to_itself()

    def _leave_to_itself(self) -> None:
        """In a copy: of the prototxt itself Net::Init reads whether the layer runs backward."""
        changed = pb.LayerParameter()
        changed.CopyFrom(self.layer_param)
        for _ in range(STATISTICS - len(changed.param)):
            changed.param.add(lr_mult=0)
        self.layer_param = changed

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Normalise by the batch's statistics, which are collected, or by those collected so far."""
        x, epsilon = bottom[0].data_tensor, self.layer_param.batch_norm_param.eps
        if self._uses_global:
            mean, variance = self._collected()
            self._inverse = (variance + epsilon).rsqrt()
            top[0].data_tensor = (x - _for_channels(mean, x)).mul_(_for_channels(self._inverse, x))
            return
        done = normalised(x, epsilon)
        self._collect(done)
        self._inverse = done.inverse
        top[0].data_tensor = done.numbers
        self._numbers = top[0].lasting_data  # layers behind may work in place

    def _collected(self) -> tuple[Tensor, Tensor]:
        """Mean and variance over all batches so far; zeros if there was none."""
        means, variances, factor = (blob.data_tensor for blob in self.blobs)
        weight = torch.where(factor == 0, factor, 1 / factor)
        return means * weight, variances * weight

    def _collect(self, new: Normalised) -> None:
        fraction = self.layer_param.batch_norm_param.moving_average_fraction
        means, variances, factor = self.blobs
        means.data_tensor = torch.add(new.mean, means.data_tensor, alpha=fraction)
        variances.data_tensor = torch.add(new.variance, variances.data_tensor, alpha=fraction)
        factor.data_tensor = factor.data_tensor * fraction + 1

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient through mean and variance too, where they are the batch's. Caffe's does not ask
        `propagate_down`, so that a BatchNorm on the data gives the data's gradient.
        """
        gradient, inverse = top[0].diff_tensor, self._inverse
        assert inverse is not None, "backward before forward"
        if self._uses_global:
            bottom[0].diff_tensor = gradient * _for_channels(inverse, gradient)
            return
        assert self._numbers is not None
        # PyTorch's kernel takes x, mean and 1/deviation. Normalised numbers, 0 and 1 give the same but for a last
        # factor of 1/deviation, which is passed as the weight; that way x need not be kept.
        bottom[0].diff_tensor, _, _ = torch.ops.aten.native_batch_norm_backward(
            gradient, self._numbers, inverse, None, None, torch.zeros_like(inverse), torch.ones_like(inverse),
            True, 0.0, [True, False, False],
        )  # fmt: skip


def normalised(x: Tensor, epsilon: float) -> Normalised:
    """`x`, N×C..., by its own statistics, in its own memory format."""
    m = x.numel() // x.shape[1]
    if x.is_cuda and m > 1:
        return _normalised_at_once(x, epsilon)
    # In these steps, which are Caffe's, sums are exact to the last bits whatever the mean and the memory format;
    # PyTorch's own kernel for the CPU adds up channels_last one by one, and multiplies x out before it subtracts.
    axes = [0, *range(2, x.dim())]
    mean = x.mean(axes, keepdim=True)
    numbers = x - mean
    blocks = numbers.chunk(1 + x.numel() // BLOCK)  # whose squares stay in the processor's cache
    squares = torch.stack([block.square().sum(axes, keepdim=True) for block in blocks])
    variance = squares.sum(0) / m
    inverse = (variance + epsilon).rsqrt()
    correction = m / (m - 1) if m > 1 else 1.0
    return Normalised(
        numbers.mul_(inverse), mean.flatten(), variance.flatten() * correction, inverse.flatten()
    )


def _normalised_at_once(x: Tensor, epsilon: float) -> Normalised:
    """By one kernel, which sums as Welford does; it has running averages, which at a momentum of 1 are the new ones."""
    mean, variance = x.new_zeros(2, x.shape[1])
    numbers, _, inverse = torch.native_batch_norm(x, None, None, mean, variance, True, 1.0, epsilon)
    return Normalised(numbers, mean, variance, inverse)


def _for_channels(numbers: Tensor, x: Tensor) -> Tensor:
    """C numbers in the shape in which they meet those of `x`, N×C..."""
    return numbers.view(-1, *[1] * (x.dim() - 2))
