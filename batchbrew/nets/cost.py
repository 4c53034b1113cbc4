"""What a network costs: blob shapes, parameters and multiply-adds, worked out without an engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """Of a whole network.

    `learned` counts weights and biases, `statistics` the numbers in BatchNorm's three blobs (mean, variance,
    factor); Caffe stores both. `multiply_adds` is for one pass of the input's batch (1 in a deploy.prototxt)
    and counts convolutions and inner products only, as published figures do.
    """

    learned: int
    statistics: int
    multiply_adds: int


@dataclass(frozen=True)
class LayerCost:
    """Of one layer: the shape of its tops (all alike), and its share of Cost."""

    shape: Shape
    learned: int = 0
    statistics: int = 0
    multiply_adds: int = 0


class EmptyBlobError(InputError):
    """A layer whose output would have no pixels: the image that goes in is too small."""


def network_cost(net: pb.NetParameter) -> Cost:
    """Add up all layers of a network that starts from an Input layer.

    Raises EmptyBlobError if the input is too small for it, InputError for a layer type not known here.
    """
    shapes: dict[str, Shape] = {}
    learned = statistics = multiply_adds = 0
    for layer in net.layer:
        cost = layer_cost(layer, [shapes[bottom] for bottom in layer.bottom])
        if min(cost.shape) < 1:
            raise EmptyBlobError(
                f"the output of layer {layer.name} would be {'×'.join(map(str, cost.shape))}"
            )
        shapes.update(dict.fromkeys(layer.top, cost.shape))
        learned += cost.learned
        statistics += cost.statistics
        multiply_adds += cost.multiply_adds
    return Cost(learned, statistics, multiply_adds)


def smallest_crop(deploy: Callable[[int], pb.NetParameter], too_small: int) -> int:
    """The first crop above `too_small` at which no blob of `deploy(crop)` is empty."""
    crop = too_small + 1
    while True:
        try:
            network_cost(deploy(crop))
        except EmptyBlobError:
            crop += 1
        else:
            return crop


def layer_cost(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    """Of one layer, given the shapes of its bottoms. Raises InputError for a type not known here."""
    rule = _RULES.get(layer.type)
    if rule is None:
        known = ", ".join(sorted(_RULES))
        raise InputError(
            f"layer {layer.name} has type {layer.type!r}, whose cost is not known; known are {known}"
        )
    return rule(layer, bottoms)


def _input(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    return LayerCost(tuple(layer.input_param.shape[0].dim))


def _same_shape(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    return LayerCost(bottoms[0])


def _convolution(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    count, channels, height, width = bottoms[0]
    parameter = layer.convolution_param
    kernel = parameter.kernel_size[0]
    stride = parameter.stride[0] if parameter.stride else 1
    pad = parameter.pad[0] if parameter.pad else 0
    # Caffe's own division would let a kernel hang over the padded image; such a network is of no use.
    out_height, out_width = ((size + 2 * pad - kernel) // stride + 1 for size in (height, width))
    weights = parameter.num_output * channels // parameter.group * kernel * kernel
    return LayerCost(
        (count, parameter.num_output, out_height, out_width),
        learned=weights + (parameter.num_output if parameter.bias_term else 0),
        multiply_adds=count * weights * out_height * out_width,
    )


def _batch_norm(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    channels = bottoms[0][1]
    fused = layer.batch_norm_param.scale_bias  # NVIDIA's: factor and bias are learned here
    return LayerCost(bottoms[0], learned=2 * channels if fused else 0, statistics=2 * channels + 1)


def _scale(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    return LayerCost(bottoms[0], learned=bottoms[0][1] * (2 if layer.scale_param.bias_term else 1))


def _pooling(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    count, channels, height, width = bottoms[0]
    parameter = layer.pooling_param
    if parameter.global_pooling:
        return LayerCost((count, channels, 1, 1))
    return LayerCost((count, channels, _windows(height, parameter), _windows(width, parameter)))


def _windows(size: int, parameter: pb.PoolingParameter) -> int:
    """Caffe rounds up, and with padding drops a last window that would start outside image and padding."""
    count = -((parameter.kernel_size - size - 2 * parameter.pad) // parameter.stride) + 1
    if parameter.pad and (count - 1) * parameter.stride >= size + parameter.pad:
        count -= 1
    return count


def _inner_product(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerCost:
    count, inputs = bottoms[0][0], prod(bottoms[0][1:])
    outputs = layer.inner_product_param.num_output
    bias = outputs if layer.inner_product_param.bias_term else 0
    return LayerCost(
        (count, outputs), learned=outputs * inputs + bias, multiply_adds=count * outputs * inputs
    )


_RULES: dict[str, Callable[[pb.LayerParameter, Sequence[Shape]], LayerCost]] = {
    "BatchNorm": _batch_norm,
    "Convolution": _convolution,
    "Dropout": _same_shape,
    "Eltwise": _same_shape,
    "InnerProduct": _inner_product,
    "Input": _input,
    "LRN": _same_shape,
    "Pooling": _pooling,
    "ReLU": _same_shape,
    "Scale": _scale,
    "Softmax": _same_shape,
}
