"""Layers that slide a window over the image: convolutions, pooling."""

from collections.abc import Sequence
from math import ceil, prod
from typing import Any, NamedTuple

from batchbrew.nets.shapes.axes import canonical_axis, require_four_axes
from batchbrew.nets.shapes.registry import ONE_OR_TWO, SOME, Answer, Refusal, Shape, Site, by, layer_rule
from batchbrew.proto import caffe_pb2 as pb

MAX_INT = 2**31 - 1


class Window(NamedTuple):
    """Along one axis."""

    kernel: int
    stride: int
    pad: int
    dilation: int

    @property
    def extent(self) -> int:
        """From the first to the last of the kernel's taps."""
        return self.dilation * (self.kernel - 1) + 1

    def positions(self, size: int) -> int:
        """How many fit. Caffe divides as C++ does, towards zero: one too large by less than a stride counts."""
        room = size + 2 * self.pad - self.extent
        return (room // self.stride if room >= 0 else -(-room // self.stride)) + 1

    def has_idle_tap(self, size: int) -> bool:
        """Does one of the kernel's taps lie in the pad at all positions over `size` pixels?"""
        return not all(self._meets(tap * self.dilation - self.pad, size) for tap in range(self.kernel))

    def _meets(self, offset: int, size: int) -> bool:
        first = max(0, -(offset // self.stride))  # position at which it is on the image or behind
        return first < self.positions(size) and first * self.stride + offset < size


@layer_rule("Convolution", bottoms=SOME, tops=SOME)
def convolution(at: Site) -> Answer:
    """Any number of spatial axes, groups, dilation; several bottoms share the weights."""
    return _convolution(at, transposed=False)


@layer_rule("Deconvolution", bottoms=SOME, tops=SOME)
def deconvolution(at: Site) -> Answer:
    """The backward pass of a convolution as a layer: the image grows by the stride."""
    return _convolution(at, transposed=True)


def _convolution(at: Site, transposed: bool) -> Answer:
    if at.tops != len(at.bottoms):
        raise Refusal(f"has {len(at.bottoms)} bottoms and {at.tops} tops: it takes as many of each")
    parameter, shape = at.layer.convolution_param, at.bottoms[0]
    axis, windows = convolution_windows(parameter, shape)
    channels, outputs, group = shape[axis], parameter.num_output, parameter.group
    if outputs < 1:
        raise Refusal("num_output must be given, 1 or more")
    if group < 1 or channels % group or outputs % group:
        raise Refusal(
            f"group {group} must divide the {channels} channels that come in and the num_output {outputs}"
        )
    for index, other in enumerate(at.bottoms):
        if other != shape:
            raise Refusal(f"bottom {at.layer.bottom[index]} is {by(other)}, but the first is {by(shape)}")
    image = shape[axis + 1 :]
    wide, narrow = (channels, outputs) if transposed else (outputs, channels)
    weights = (wide, narrow // group, *(window.kernel for window in windows))
    if transposed:
        sizes = [w.stride * (size - 1) + w.extent - 2 * w.pad for w, size in zip(windows, image, strict=True)]
    else:
        sizes = [window.positions(size) for window, size in zip(windows, image, strict=True)]
    positions = prod(shape[:axis]) * prod(image if transposed else sizes)
    return Answer(
        [(*shape[:axis], outputs, *sizes)] * at.tops,
        [weights, (outputs,)] if parameter.bias_term else [weights],
        multiply_adds=prod(weights) * positions * at.tops,
        overhang=None if transposed else _overhang(windows, image),
    )


@layer_rule("Im2col")
def im2col(at: Site) -> Answer:
    """Every window as a column of channels."""
    shape = at.bottoms[0]
    axis, windows = convolution_windows(at.layer.convolution_param, shape)
    image = shape[axis + 1 :]
    sizes = [window.positions(size) for window, size in zip(windows, image, strict=True)]
    columns = shape[axis] * prod(window.kernel for window in windows)
    return Answer([(*shape[:axis], columns, *sizes)], overhang=_overhang(windows, image))


def convolution_windows(parameter: pb.ConvolutionParameter, shape: Shape) -> tuple[int, list[Window]]:
    """The axis of channels, and a window for each axis behind it."""
    axis = canonical_axis(shape, parameter.axis)
    spatial = len(shape) - axis - 1
    kernels = _by_axis(parameter, "kernel_size", "kernel", spatial, None)
    strides = _by_axis(parameter, "stride", "stride", spatial, 1)
    pads = _by_axis(parameter, "pad", "pad", spatial, 0)
    dilations = _spread("dilation", parameter.dilation, spatial, 1)
    for field, values in (("kernel_size", kernels), ("stride", strides)):
        if min(values, default=1) < 1:
            raise Refusal(f"{field} must be 1 or more, not {min(values)}")
    _check_int(*kernels, *strides, *pads, *dilations)
    return axis, [Window(*each) for each in zip(kernels, strides, pads, dilations, strict=True)]


def _check_int(*settings: int) -> None:
    """Caffe holds them in an int, where larger ones are negative."""
    if max(settings, default=0) > MAX_INT:
        raise Refusal(f"has a kernel, stride, pad or dilation of {max(settings)}: {MAX_INT:,} is the most")


def _by_axis(
    parameter: pb.ConvolutionParameter, field: str, stem: str, spatial: int, default: int | None
) -> list[int]:
    """A setting for each spatial axis: from `field`, repeated, or from its forms for height and width."""
    values: Sequence[int] = getattr(parameter, field)
    if not (parameter.HasField(f"{stem}_h") or parameter.HasField(f"{stem}_w")):
        return _spread(field, values, spatial, default)
    if values:
        raise Refusal(f"takes {field} or {stem}_h and {stem}_w, not both")
    if spatial != 2:
        raise Refusal(
            f"takes {stem}_h and {stem}_w for two spatial axes only, not for {spatial}: use {field}"
        )
    return [getattr(parameter, f"{stem}_h"), getattr(parameter, f"{stem}_w")]


def _spread(field: str, values: Sequence[int], spatial: int, default: int | None) -> list[int]:
    if not values and default is not None:
        return [default] * spatial
    if len(values) not in (1, spatial):
        raise Refusal(
            f"has {len(values)} values of {field} for {spatial} spatial axes: give one for all, or one for each"
        )
    return list(values) * spatial if len(values) == 1 else list(values)


def _overhang(windows: Sequence[Window], image: Shape) -> str | None:
    """Says so if a window is larger than its padded image: Caffe computes with it, reading zeros beyond."""
    if all(window.extent <= size + 2 * window.pad for window, size in zip(windows, image, strict=True)):
        return None
    extents = tuple(window.extent for window in windows)
    padded = tuple(size + 2 * window.pad for window, size in zip(windows, image, strict=True))
    return f"its window of {by(extents)} is larger than its padded bottom of {by(padded)}"


@layer_rule("Pooling", tops=ONE_OR_TWO)
def pooling(at: Site) -> Answer:
    """A maximum or mean over windows; a second top of MAX tells where the maxima were."""
    parameter = at.layer.pooling_param
    if at.tops == 2 and parameter.pool != pb.PoolingParameter.MAX:
        raise Refusal("has two tops: a second one is there with pool: MAX alone")
    number, channels, height, width = require_four_axes(at.bottoms[0])
    windows = pooling_windows(parameter, height, width)
    down = parameter.round_mode == pb.PoolingParameter.FLOOR
    clipped = any(window.pad for window in windows)
    sizes = [
        pooled_size(window, size, down, clipped)
        for window, size in zip(windows, (height, width), strict=True)
    ]
    return Answer([(number, channels, *sizes)] * at.tops)


def pooling_windows(parameter: pb.PoolingParameter, height: int, width: int) -> list[Window]:
    """A window for the rows and one for the columns."""
    kernels = _pooling_kernel(parameter, height, width)
    pads = _pair(parameter, "pad")
    strides = _pair(parameter, "stride")
    if parameter.global_pooling and (pads != (0, 0) or strides != (1, 1)):
        raise Refusal("takes no pad and no stride with global_pooling: true")
    if min(*kernels, *strides) < 1:
        raise Refusal(f"needs kernels and strides of 1 or more, not {by(kernels)} and {by(strides)}")
    if pads != (0, 0) and parameter.pool == pb.PoolingParameter.STOCHASTIC:
        raise Refusal("takes no pad with pool: STOCHASTIC")
    if any(pad >= kernel for pad, kernel in zip(pads, kernels, strict=True) if pads != (0, 0)):
        raise Refusal(f"pad {by(pads)} must be less than the kernel, {by(kernels)}")
    return [Window(*each, 1) for each in zip(kernels, strides, pads, strict=True)]


def pooled_size(window: Window, size: int, round_down: bool = False, clipped: bool = True) -> int:
    """How many windows: Caffe rounds up, and where a pad is given drops a last one that starts behind the image."""
    room = size + 2 * window.pad - window.kernel
    windows = (room // window.stride if round_down else -(-room // window.stride)) + 1
    if clipped:
        windows -= (windows - 1) * window.stride >= size + window.pad
    return windows


def _pooling_kernel(parameter: pb.PoolingParameter, height: int, width: int) -> tuple[int, int]:
    square = parameter.HasField("kernel_size")
    sides = parameter.HasField("kernel_h"), parameter.HasField("kernel_w")
    if parameter.global_pooling:
        if square or any(sides):
            raise Refusal("takes no kernel_size with global_pooling: true")
        return height, width
    if square == all(sides):
        raise Refusal("needs kernel_size, or kernel_h and kernel_w, and not both")
    return (parameter.kernel_size,) * 2 if square else (parameter.kernel_h, parameter.kernel_w)


def _pair(parameter: Any, field: str) -> tuple[int, int]:
    sides = [parameter.HasField(f"{field}_{side}") for side in "hw"]
    if (any(sides) and parameter.HasField(field)) or sides[0] != sides[1]:
        raise Refusal(f"takes {field}, or both {field}_h and {field}_w")
    square: int = getattr(parameter, field)
    return (
        (getattr(parameter, f"{field}_h"), getattr(parameter, f"{field}_w"))
        if any(sides)
        else (square, square)
    )


@layer_rule("SPP")
def spatial_pyramid_pooling(at: Site) -> Answer:
    """Pools into 1×1, 2×2, 4×4, ... bins and puts all of them in a row."""
    parameter = at.layer.spp_param
    levels = parameter.pyramid_height
    if levels < 1:
        raise Refusal("pyramid_height must be given, 1 or more")
    number, channels, height, width = require_four_axes(at.bottoms[0])
    grids = [
        [bins for _, bins in pyramid_windows(level, height, width, parameter.pool)]
        for level in range(min(levels, 31))
    ]
    if levels == 1:
        return Answer([(number, channels, *grids[0])])
    return Answer([(number, channels * sum(map(prod, grids)))])


def pyramid_windows(level: int, height: int, width: int, method: int) -> list[tuple[Window, int]]:
    """For the rows and for the columns: the window that divides them into 2^level bins, and how many it makes."""
    return [_bins(size, 2**level, method) for size in (height, width)]


def _bins(size: int, bins: int, method: int) -> tuple[Window, int]:
    kernel = ceil(size / bins)
    pad = (kernel * bins - size + 1) // 2
    if pad >= kernel:
        raise Refusal(f"cannot divide {size} pixels into {bins} bins: make pyramid_height less")
    if pad and method == pb.SPPParameter.STOCHASTIC:
        raise Refusal(f"cannot pool {size} pixels into {bins} bins with pool: STOCHASTIC, which takes no pad")
    window = Window(kernel, kernel, pad, 1)
    return window, pooled_size(window, size, clipped=pad > 0)
