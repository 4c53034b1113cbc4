"""Ways to compute a convolution: PyTorch's kernels, Winograd's algorithm, products of windows laid out as columns."""

from collections.abc import Sequence
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from batchbrew.caffe import mode
from batchbrew.caffe.layers.im2col import Columns
from batchbrew.caffe.layers.winograd import Pays, Winograd
from batchbrew.nets.shapes.registry import Shape
from batchbrew.nets.shapes.windows import Window

CUDA = "cuda"
PLANAR_AXES = 4  # of images with rows and columns: those have the memory format channels_last
# For the gradient of fewer 1×1 weights with a stride, oneDNN writes behind its memory in channels_last (its issue
# 6035; PyTorch 2.13).
FEWEST_HOPPING = 16
# Passes of images of one shape, from where cuDNN is to try its kernels and take the fastest, which takes a second or
# two for a net: with images of ever other shapes it would do nothing else.
FEWEST_ALIKE = 2
# gradients of input, weights and bias; None where not asked for
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
Asked = tuple[bool, bool, bool]


class Computation(Protocol):
    """A way to compute: images are N×C×..., weights as the layer has them, the bias a vector."""

    def forward(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution."""

    def backward(self, gradient: Tensor, x: Tensor, weights: Tensor, asked: Asked) -> Gradients:
        """Its gradients."""


class Native:
    """PyTorch's own kernels, for up to three axes."""

    def __init__(self, windows: Sequence[Window], group: int, transposed: bool) -> None:
        _, stride, pad, dilation = (list(each) for each in zip(*windows, strict=True))
        self._how = (stride, pad, dilation, transposed, [0] * len(windows), group)
        self._hops = all(each.kernel == 1 for each in windows) and any(each.stride > 1 for each in windows)
        self._passes = 0

    def forward(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """One call."""
        self._passes += 1
        self._choose_kernels(x)
        x = _laid_out(x)
        weights = _laid_out(weights.to(x.dtype))
        return torch.convolution(x, weights, None if bias is None else bias.to(x.dtype), *self._how)

    def backward(self, gradient: Tensor, x: Tensor, weights: Tensor, asked: Asked) -> Gradients:
        """One call, but for the bias of frozen weights: with that PyTorch computes the weights' gradient, too."""
        down, learned, biased = asked
        self._choose_kernels(x)
        if learned and self._goes_astray(x, gradient):
            x, gradient, weights = (each.contiguous() for each in (x, gradient, weights.to(x.dtype)))
        else:
            x, gradient, weights = (_laid_out(each) for each in (x, gradient, weights.to(x.dtype)))
        found: list[Tensor | None] = [None] * 3
        if down or learned:
            size, mask = [gradient.shape[1]], [down, learned, learned and biased]
            found = list(torch.ops.aten.convolution_backward(gradient, x, weights, size, *self._how, mask))
        if biased and not learned:
            found[2] = gradient.sum((0, *range(2, gradient.dim())), dtype=torch.float32)
        return found[0], found[1], found[2]

    def _choose_kernels(self, x: Tensor) -> None:
        """By trial, where that pays (FEWEST_ALIKE): a Native is for images of one shape."""
        if x.device.type == CUDA:
            torch.backends.cudnn.benchmark = self._passes > FEWEST_ALIKE

    def _goes_astray(self, x: Tensor, gradient: Tensor) -> bool:
        few = min(x.shape[1], gradient.shape[1]) < FEWEST_HOPPING * self._how[-1]
        return self._hops and few and x.device.type != CUDA


class NativeOrWinograd:
    """PyTorch's own kernels, but Winograd's algorithm in the passes in which it is faster: in float32 on the CPU."""

    def __init__(self, native: Native, winograd: Winograd, pays: Pays) -> None:
        self._native, self._winograd, self._pays = native, winograd, pays

    def forward(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """By one of both."""
        if self._pays.forward and suits_winograd(x, x.dtype):
            return self._winograd.forward(_laid_out(x), weights, bias)
        return self._native.forward(x, weights, bias)

    def backward(self, gradient: Tensor, x: Tensor, weights: Tensor, asked: Asked) -> Gradients:
        """What one is asked for, the other is not."""
        if not suits_winograd(x, x.dtype):
            return self._native.backward(gradient, x, weights, asked)
        gradient, x = _laid_out(gradient), _laid_out(x)
        pays = (self._pays.down, self._pays.weights, self._pays.weights)
        by_winograd = [want and faster for want, faster in zip(asked, pays, strict=True)]
        rest = [want and not done for want, done in zip(asked, by_winograd, strict=True)]
        found = self._winograd.backward(
            gradient, x, weights, (by_winograd[0], by_winograd[1], by_winograd[2])
        )
        if not any(rest):
            return found
        others = self._native.backward(gradient, x, weights, (rest[0], rest[1], rest[2]))
        return (
            found[0] if others[0] is None else others[0],
            found[1] if others[1] is None else others[1],
            found[2] if others[2] is None else others[2],
        )


def suits_winograd(numbers: Tensor, factor_type: torch.dtype) -> bool:
    """Is Winograd's algorithm for factors of this type, where `numbers` are?"""
    return numbers.device.type != CUDA and factor_type == torch.float32


def _laid_out(images: Tensor) -> Tensor:
    """In the memory format in which its kernels are fastest."""
    if images.dim() != PLANAR_AXES:
        return images
    planes = lies_in_planes(images)
    return images.contiguous(memory_format=torch.contiguous_format if planes else torch.channels_last)


def lies_in_planes(images: Tensor) -> bool:
    """Are channels one after another fastest? Only in full float32 on a GPU."""
    return images.device.type == CUDA and images.dtype == torch.float32 and mode.precision() == "fp32"


class ByColumns:
    """Matrix products of windows laid out as columns: any number of axes, windows that overhang the image."""

    def __init__(self, columns: Columns, group: int, transposed: bool) -> None:
        self._columns, self._group, self._transposed = columns, group, transposed

    def forward(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """From image to positions; transposed, the other way."""
        y = self._spread(x, weights) if self._transposed else self._apply(x, weights)
        return y if bias is None else y + bias.reshape(-1, *[1] * (y.dim() - 2))

    def backward(self, gradient: Tensor, x: Tensor, weights: Tensor, asked: Asked) -> Gradients:
        """The other way; the weights' gradient is the product of both sides."""
        back = self._apply if self._transposed else self._spread
        image, positions = (gradient, x) if self._transposed else (x, gradient)
        return (
            back(gradient, weights) if asked[0] else None,
            self._product(image, positions, weights.shape) if asked[1] else None,
            gradient.sum((0, *range(2, gradient.dim()))) if asked[2] else None,
        )

    def _apply(self, image: Tensor, weights: Tensor) -> Tensor:
        positions = self._matrices(weights) @ self._laid_out(image)
        return positions.reshape(len(image), -1, *self._columns.positions)

    def _spread(self, positions: Tensor, weights: Tensor) -> Tensor:
        rows = self._grouped(positions)
        columns = self._matrices(weights).transpose(1, 2) @ rows
        shape = (len(positions), -1, *self._columns.kernel, *self._columns.positions)
        return self._columns.adjoint(columns.reshape(shape))

    def _product(self, image: Tensor, positions: Tensor, shape: Shape) -> Tensor:
        products = self._grouped(positions) @ self._laid_out(image).transpose(2, 3)
        return products.sum(0).reshape(shape)

    def _laid_out(self, image: Tensor) -> Tensor:
        """N × groups × (channels of a group · kernel) × positions."""
        columns = self._columns.of(image)
        return columns.reshape(len(image), self._group, -1, prod(self._columns.positions))

    def _grouped(self, positions: Tensor) -> Tensor:
        return positions.reshape(len(positions), self._group, -1, prod(self._columns.positions))

    def _matrices(self, weights: Tensor) -> Tensor:
        """Groups × outputs of a group × (channels of a group · kernel)."""
        return weights.reshape(self._group, weights.shape[0] // self._group, -1)
