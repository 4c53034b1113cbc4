"""Convolution, and Deconvolution: the backward pass of one as a layer."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.layers.convolving import (
    PLANAR_AXES,
    Asked,
    ByColumns,
    Computation,
    Gradients,
    Native,
    NativeOrWinograd,
    lies_in_planes,
    suits_winograd,
)
from batchbrew.caffe.layers.im2col import COPIES, Columns
from batchbrew.caffe.layers.winograd import Winograd, pays
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.nets.shapes.registry import Shape
from batchbrew.nets.shapes.windows import Window, convolution_windows
from batchbrew.proto import caffe_pb2 as pb

MOST_AXES = 3  # that PyTorch's convolutions take
# From strides of 32,768 on, oneDNN's gradients crash or hang (PyTorch 2.13); they hop over any image anyway.
LARGEST_STEP = 4096
WINOGRADS_WINDOW = Window(kernel=3, stride=1, pad=0, dilation=1)
POINT = Window(kernel=1, stride=1, pad=0, dilation=1)


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
        # Where a tap never meets the image, as of 3×3 with a pad over a single pixel, oneDNN (PyTorch 2.13) crashes, or
        # leaves its gradient in bfloat16 as the memory was. Such images are small.
        fits = all(
            window.dilation
            and window.extent <= size + 2 * window.pad
            and max(window.stride, window.pad, window.dilation) <= LARGEST_STEP
            and not window.has_idle_tap(size)
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
        if self.is_planar and not lies_in_planes(self.blobs[0].data_tensor):
            by_winograd = isinstance(self._computation, NativeOrWinograd) and suits_winograd(
                self.blobs[0].held_data, self.factor_type
            )
            self.blobs[0].lay_out_data(torch.contiguous_format if by_winograd else torch.channels_last)
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

    def gradients(
        self, dy: Tensor, x: Tensor, weights: Tensor, asked: Asked, *, exact: bool = False
    ) -> Gradients:
        """Those of the convolution of the images `x` by `weights`, whose gradient is `dy`; `exact`: in float32."""
        dy, x = (each.float() if exact else self._factor(each) for each in (dy, x))
        return self._computation.backward(dy, x, weights, asked)

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
