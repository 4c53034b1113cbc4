"""Where a pixel of one blob lies in another, through the layers between them; and Crop layers from that.

A map is (axis, scale, shift), for spatial axes from `axis` on: the coordinate i of the input is at
i·scale + shift in the output. An axis of None is that of pointwise layers, which go with any. Scale and shift
may be arrays, a number for each spatial axis.
"""

from typing import Any

import numpy as np

from batchbrew.caffe.net_spec import Function, Layers, Top
from batchbrew.errors import InputError

CoordMap = tuple[Any, Any, Any]

IDENTITY: CoordMap = (None, 1, 0)
PASS_THROUGH_LAYERS = [
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Log", "LRN", "Exp", "MVN", "Power",
    "ReLU", "PReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold",
]  # fmt: skip
SIDES = ("pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w")


class UndefinedMapException(InputError):
    """A layer whose type has no coordinate map."""


class AxisMismatchException(InputError):
    """Two maps for different axes, which cannot be one after the other."""


class DisconnectedError(InputError, RuntimeError):
    """Two tops without a common ancestor; a RuntimeError, as pycaffe's."""


class CropError(InputError, AssertionError):
    """Tops that no Crop layer can align; an AssertionError, as pycaffe's."""


def conv_params(fn: Function) -> tuple[Any, Any, Any, Any]:
    """The first spatial axis but one, stride, kernel size with dilation, and padding of a layer with windows.

    Convolution, Deconvolution and Im2col have them in convolution_param, Pooling has them itself. Raises
    CropError where they are given for height and width apart.
    """
    params = fn.params.get("convolution_param", fn.params)
    apart = [name for name in SIDES if name in fn.params or name in params]
    if apart:
        raise CropError(
            f"{fn.type_name} has {', '.join(apart)}: cropping does not support legacy _h/_w params; give lists "
            "as kernel_size, stride and pad"
        )
    if "kernel_size" not in params:
        raise CropError(f"{fn.type_name} has no kernel_size: cropping needs it")
    kernel, dilation, stride, pad = (
        np.array(params.get(name, default), ndmin=1)
        for name, default in (("kernel_size", 0), ("dilation", 1), ("stride", 1), ("pad", 0))
    )
    return params.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[Any, Any]:
    """Axis (2 if not given: that after N and C) and offsets of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> CoordMap:
    """The map from a layer's first input to its output. Raises UndefinedMapException."""
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    raise UndefinedMapException(f"{fn.type_name} layers have no coordinate map")


def compose(base_map: CoordMap, next_map: CoordMap) -> CoordMap:
    """The map of `next_map` first, then `base_map`. Raises AxisMismatchException."""
    axis, scale, shift = base_map
    next_axis, next_scale, next_shift = next_map
    if axis is None:
        axis = next_axis
    elif next_axis is not None and next_axis != axis:
        raise AxisMismatchException(f"a map for axis {axis} cannot follow one for axis {next_axis}")
    return axis, scale * next_scale, scale * next_shift + shift


def inverse(coord_map: CoordMap) -> CoordMap:
    """The map from output to input."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> CoordMap:
    """The map between two tops, by way of a common ancestor.

    If there are several, all are taken to give the same map. Raises AxisMismatchException, DisconnectedError.
    """
    maps_from = {top_from: IDENTITY}
    _walk_back(top_from, maps_from)
    maps_to = {top_to: IDENTITY}
    common = _walk_back(top_to, maps_to, until=maps_from)
    if common is None:
        raise DisconnectedError(
            "Could not compute map between tops; are they connected by spatial layers? No layer of a type with a "
            f"coordinate map leads to both {top_from.fn.type_name} and {top_to.fn.type_name}"
        )
    return compose(maps_to[common], inverse(maps_from[common]))


def _walk_back(top: Top, maps: dict[Top, CoordMap], until: dict[Top, CoordMap] | None = None) -> Top | None:
    """Fill `maps` with the maps from all ancestors of `top`, up to the first in `until`, which is returned."""
    frontier = [top]
    while frontier:
        current = frontier.pop()
        if until is not None and current in until:
            return current
        # of a Crop's two inputs the second gives but the size
        bottoms = current.fn.inputs[:1] if current.fn.type_name == "Crop" else current.fn.inputs
        if not bottoms:
            continue
        try:
            step = coord_map(current.fn)
        except UndefinedMapException:
            continue
        for bottom in bottoms:
            composed = compose(maps[current], step)
            # met before, its ancestors are known too; but a way of pointwise layers alone gave no axis
            if bottom not in maps or (maps[bottom][0] is None and composed[0] is not None):
                maps[bottom] = composed
                frontier.append(bottom)
    return None


def crop(top_from: Top, top_to: Top) -> Any:
    """A Crop layer that aligns `top_from` with `top_to`.

    Raises CropError where that takes a scale, a negative or a broken offset, DisconnectedError where no layers
    connect them.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    if not np.all(scale == 1):
        raise CropError(f"scale mismatch on crop (a = {scale})")
    if not np.all(shift <= 0):
        raise CropError(f"cannot crop negative offset (b = {shift})")
    offset = -np.round(shift).astype(int) if isinstance(shift, np.ndarray) else -round(shift)
    if not np.all(-offset == shift):
        raise CropError(f"cannot crop noninteger offset (b = {shift})")
    if axis is None:
        raise CropError("only pointwise layers lie between the two: there is nothing to crop")
    offsets = offset.tolist() if isinstance(offset, np.ndarray) else [offset]
    return Layers().Crop(top_from, top_to, crop_param={"axis": axis + 1, "offset": offsets})
