"""Convolution, and Deconvolution: the backward pass of one as a layer."""

from collections.abc import Sequence
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.layers.im2col import COPIES, Columns
from batchbrew.caffe.layers.winograd import Pays, Winograd, pays
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.nets.shapes.registry import Shape
from batchbrew.nets.shapes.windows import Window, convolution_windows
from batchbrew.proto import caffe_pb2 as pb

CUDA = "cuda"
PLANAR_AXES = 4  # of images with rows and columns: those have the memory format channels_last
MOST_AXES = 3  # that PyTorch's convolutions take
# From strides of 32,768 on, oneDNN's gradients crash or hang (PyTorch 2.13); they hop over any image anyway.
LARGEST_STEP = 4096
WINOGRADS_WINDOW = Window(kernel=3, stride=1, pad=0, dilation=1)
POINT = Window(kernel=1, stride=1, pad=0, dilation=1)
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

    def forward(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """One call."""
        x = _laid_out(x)
        weights = _laid_out(weights.to(x.dtype))
        return torch.convolution(x, weights, None if bias is None else bias.to(x.dtype), *self._how)

    def backward(self, gradient: Tensor, x: Tensor, weights: Tensor, asked: Asked) -> Gradients:
        """One call, but for the bias of frozen weights: with that PyTorch computes the weights' gradient, too."""
        down, learned, biased = asked
        x, gradient = _laid_out(x), _laid_out(gradient)
        weights = _laid_out(weights.to(x.dtype))
        found: list[Tensor | None] = [None] * 3
        if down or learned:
            size, mask = [gradient.shape[1]], [down, learned, learned and biased]
            found = list(torch.ops.aten.convolution_backward(gradient, x, weights, size, *self._how, mask))
        if biased and not learned:
            found[2] = gradient.sum((0, *range(2, gradient.dim())), dtype=torch.float32)
        return found[0], found[1], found[2]


class NativeOrWinograd:
    """PyTorch's own kernels, but Winograd's algorithm in the passes in which it is faster: in float32 on the CPU."""

    def __init__(self, native: Native, winograd: Winograd, pays: Pays) -> None:
        self._native, self._winograd, self._pays = native, winograd, pays

    def forward(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """By one of both."""
        if self._pays.forward and _suits_winograd(x):
            return self._winograd.forward(_laid_out(x), weights, bias)
        return self._native.forward(x, weights, bias)

    def backward(self, gradient: Tensor, x: Tensor, weights: Tensor, asked: Asked) -> Gradients:
        """What one is asked for, the other is not."""
        if not _suits_winograd(x):
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


def _suits_winograd(x: Tensor) -> bool:
    return x.device.type != CUDA and x.dtype == torch.float32


def _laid_out(images: Tensor) -> Tensor:
    """In the memory format in which its kernels are fastest."""
    if images.dim() != PLANAR_AXES:
        return images
    planes = _lies_in_planes(images)
    return images.contiguous(memory_format=torch.contiguous_format if planes else torch.channels_last)


def _lies_in_planes(images: Tensor) -> bool:
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


class _Convolving(StandardLayer):
    """Several bottoms share the weights, and each has its top.

    Axes in front of the channels are all images of one batch; without axes behind them an image is a point.
    `force_nd_im2col` and `engine` choose between ways that give the same numbers.
    """

    transposed: bool
    reads_tops_backward = False

    @property
    def is_planar(self) -> bool:
        """Does it convolve N×C×H×W images by PyTorch's kernels?"""
        return len(self._bottom_images) == PLANAR_AXES and isinstance(
            self._computation, Native | NativeOrWinograd
        )

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """Of weights and bias."""
        parameter = self.layer_param.convolution_param
        return [parameter.weight_filler, parameter.bias_filler]

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Choose how to compute."""
        axis, windows = convolution_windows(self.layer_param.convolution_param, bottom[0].shape)
        self._bottom_images = _as_images(bottom[0].shape, axis)
        self._top_images = _as_images(top[0].shape, axis)
        self._weight_shape = _as_images(self.blobs[0].shape, 1)
        self._computation = self._choose(windows or [POINT])

    def _choose(self, windows: Sequence[Window]) -> Computation:
        wide, narrow = self._bottom_images, self._top_images
        if self.transposed:
            wide, narrow = narrow, wide
        image, positions = wide[2:], narrow[2:]
        group = self.layer_param.convolution_param.group
        fits = all(
            window.dilation
            and window.extent <= size + 2 * window.pad
            and max(window.stride, window.pad, window.dilation) <= LARGEST_STEP
            for window, size in zip(windows, image, strict=True)
        )
        if fits and len(windows) <= MOST_AXES:
            native = Native(windows, group, self.transposed)
            return native if self.transposed or group > 1 else self._with_winograd(native, windows)
        columns = Columns(windows, positions, image)
        MemoryLimit().check(columns.count(prod(wide[:2])) * COPIES)
        return ByColumns(columns, group, self.transposed)

    def _with_winograd(self, native: Native, windows: Sequence[Window]) -> Computation:
        images, channels, *_ = self._bottom_images
        if len(windows) != 2 or any(
            each._replace(pad=0) != WINOGRADS_WINDOW or each.pad > 2 for each in windows
        ):
            return native
        found = pays(images, channels, *self._top_images[1:])
        pad = (windows[0].pad, windows[1].pad)
        return NativeOrWinograd(native, Winograd(pad), found) if any(found) else native

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Convolve each bottom."""
        if self.is_planar and not _lies_in_planes(self.blobs[0].data_tensor):
            for_winograd = (
                isinstance(self._computation, NativeOrWinograd) and self.factor_type == torch.float32
            )
            self.blobs[0].lay_out_data(torch.contiguous_format if for_winograd else torch.channels_last)
        weights = self.blobs[0].data_tensor.reshape(self._weight_shape)
        bias = self.blobs[1].data_tensor if len(self.blobs) > 1 else None
        for image, result in zip(bottom, top, strict=True):
            x = self._factor(image.held_data).reshape(self._bottom_images)
            result.data_tensor = self._computation.forward(x, weights, bias).reshape(result.shape)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Gradients of each bottom; those of weights and bias add up."""
        weights = self.blobs[0].data_tensor.reshape(self._weight_shape)
        learned = self.param_propagate_down
        for image, result, down in zip(bottom, top, propagate_down, strict=True):
            asked = (down, learned[0], len(self.blobs) > 1 and learned[1])
            if not any(asked):
                continue
            gradients = self.gradients(
                result.held_diff.reshape(self._top_images),
                image.held_data.reshape(self._bottom_images),
                weights,
                asked,
            )
            if gradients[0] is not None:
                image.diff_tensor = gradients[0].reshape(image.shape)
            for blob, gradient in zip(self.blobs, gradients[1:], strict=False):
                if gradient is not None:
                    blob.add_diff(gradient.float().reshape(blob.shape))

    def gradients(self, dy: Tensor, x: Tensor, weights: Tensor, asked: Asked) -> Gradients:
        """Those of the convolution of the images `x` by `weights`, whose gradient is `dy`."""
        return self._computation.backward(self._factor(dy), self._factor(x), weights, asked)

    def _factor(self, numbers: Tensor) -> Tensor:
        """As precise as is asked for; other computations than PyTorch's kernels are float32 always."""
        exact = isinstance(self._computation, ByColumns)
        return numbers.to(torch.float32 if exact else self.factor_type)


def _as_images(shape: Shape, axis: int) -> Shape:
    """N×C×..., with at least one axis behind the channels."""
    return (prod(shape[:axis]), shape[axis], *(shape[axis + 1 :] or (1,)))


@layer("Convolution")
class Convolution(_Convolving):
    """Weights are outputs × channels of a group × kernel."""

    transposed = False


@layer("Deconvolution")
class Deconvolution(_Convolving):
    """Weights are channels × outputs of a group × kernel."""

    transposed = True
