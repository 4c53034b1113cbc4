"""What a network of ours costs: parameters and multiply-adds, worked out without an engine."""

from collections.abc import Callable
from dataclasses import dataclass

from batchbrew.nets.shapes import EmptyBlobError, LayerShapes, infer_shapes
from batchbrew.proto import caffe_pb2 as pb

__all__ = ["Cost", "EmptyBlobError", "network_cost", "smallest_crop"]


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


def network_cost(net: pb.NetParameter) -> Cost:
    """Add up all layers of a network that starts from an Input layer.

    Raises EmptyBlobError if the input is too small for it, InputError for a network that Caffe would refuse.
    """
    layers = infer_shapes(net, pb.TEST).layers
    for layer in layers:
        _check_windows(layer)
    return Cost(
        sum(layer.learned for layer in layers),
        sum(layer.statistics for layer in layers),
        sum(layer.multiply_adds for layer in layers),
    )


def _check_windows(layer: LayerShapes) -> None:
    # Caffe's own division lets a kernel hang over the padded image; such a network is of no use.
    if layer.overhang:
        raise EmptyBlobError(f"the output of layer {layer.layer.name} would be empty: {layer.overhang}")


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
