"""BatchNorm: every channel less its mean, divided by its standard deviation (Ioffe and Szegedy, 2015)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import LayerError, StandardLayer, layer
from batchbrew.caffe.layers.normalising import apply, gradients, statistics
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb

STATISTICS = 3  # blobs: the sums of means and of variances, and the factor to divide both by


class Normalisation(NamedTuple):
    """By what the C channels of a batch are normalised: means, and 1/√(variance + eps).

    `constant`: they are not the batch's own, so that no gradient goes through them.
    """

    mean: Tensor
    inverse: Tensor
    constant: bool


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

    def normalisation(self, x: Tensor) -> Normalisation:
        """By the statistics of `x`, which are collected, or by those collected so far."""
        epsilon = self.layer_param.batch_norm_param.eps
        if self._uses_global:
            mean, variance = self._collected()
        else:
            mean, variance = statistics(x)
            m = x.numel() // x.shape[1]
            self._collect(mean, variance * (m / (m - 1) if m > 1 else 1.0))
        return Normalisation(mean, (variance + epsilon).rsqrt(), self._uses_global)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Normalise."""
        x = bottom[0].data_tensor
        mean, inverse, _ = self.normalisation(x)
        top[0].data_tensor = apply(x, mean, inverse, None, None, False)
        self.keep(top[0].lasting_data, inverse)

    def keep(self, numbers: Tensor, inverse: Tensor) -> None:
        """What the backward pass needs: what forward made, which layers behind may change in place."""
        self._numbers = None if self._uses_global else numbers
        self._inverse = inverse

    def forget(self) -> None:
        """Let go of them."""
        self._numbers = self._inverse = None

    def _collected(self) -> tuple[Tensor, Tensor]:
        """Mean and variance over all batches so far; zeros if there was none."""
        means, variances, factor = (blob.data_tensor for blob in self.blobs)
        weight = torch.where(factor == 0, factor, 1 / factor)
        return means * weight, variances * weight

    def _collect(self, mean: Tensor, variance: Tensor) -> None:
        fraction = self.layer_param.batch_norm_param.moving_average_fraction
        *sums, factor = (blob.mutable_data() for blob in self.blobs)
        torch._foreach_mul_([*sums, factor], fraction)
        torch._foreach_add_(sums, [mean, variance])
        factor.add_(1)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient through mean and variance too, where they are the batch's. Caffe's does not ask
        `propagate_down`, so that a BatchNorm on the data gives the data's gradient.
        """
        gradient, inverse = top[0].diff_tensor, self._inverse
        if inverse is None:
            raise LayerError(f"layer {self.name} (BatchNorm): a backward pass needs a forward pass before it")
        if self._uses_global:
            bottom[0].diff_tensor = gradient * _for_channels(inverse, gradient)
            return
        assert self._numbers is not None
        # Normalised numbers, of mean 0 and deviation 1, give the same but for a last factor of 1/deviation, which is
        # passed as Scale's factors: that way x need not be kept.
        mean, deviation = torch.zeros_like(inverse), torch.ones_like(inverse)
        found = gradients(gradient, None, self._numbers, mean, deviation, inverse, None, rectify=False)
        assert found.x is not None
        bottom[0].diff_tensor = found.x


def _for_channels(numbers: Tensor, x: Tensor) -> Tensor:
    """C numbers in the shape in which they meet those of `x`, N×C..."""
    return numbers.view(-1, *[1] * (x.dim() - 2))
