"""What the batch-normalised AlexNet and VGG of Simon, Rodner and Denzler (arXiv 1612.01452) have in common.

A layer `x` is normalised by `x/bn`, which `x/scale` follows in the variants that have it. In the release only
the images' BatchNorm has a Scale; elsewhere the next layer's weights can take its place. Old statistics are
forgotten faster there than Caffe's default would.
"""

from collections.abc import Callable
from functools import partial

from batchbrew.nets.blocks import (
    UNDECAYED_STATISTICS,
    WEIGHT_AND_UNDECAYED_BIAS,
    constant,
    convolution,
    inner_product,
    learned_scale,
)
from batchbrew.nets.netspec import NetBuilder
from batchbrew.proto import caffe_pb2 as pb

# (net, blob) -> normalised blob
Normalise = Callable[[NetBuilder, str], str]

MOVING_AVERAGE_FRACTION = 0.9

# All weights layers have a bias, even where a BatchNorm follows, and its decay is 0.
biased_convolution = partial(
    convolution,
    params=WEIGHT_AND_UNDECAYED_BIAS,
    filler=pb.FillerParameter(type="msra"),
    bias_filler=constant(0),
)
biased_inner_product = partial(inner_product, params=WEIGHT_AND_UNDECAYED_BIAS)


def batch_norm(net: NetBuilder, blob: str) -> str:
    """`blob`/bn, as the release has it behind every layer with weights but the last."""
    parameter = pb.BatchNormParameter(moving_average_fraction=MOVING_AVERAGE_FRACTION)
    name = f"{blob}/bn"
    return net.add(name, "BatchNorm", [blob], param=UNDECAYED_STATISTICS, batch_norm_param=parameter)


def batch_norm_scale(net: NetBuilder, blob: str) -> str:
    """The same, and a learned factor and bias behind it, in place."""
    top = batch_norm(net, blob)
    return learned_scale(net, f"{blob}/scale", top, top, WEIGHT_AND_UNDECAYED_BIAS)


def normalised_images(net: NetBuilder, data: str) -> str:
    """Raw pixels made alike, instead of subtracting a mean image; not in place, in the release."""
    top = batch_norm(net, data)
    return learned_scale(net, f"{data}/scale", top, f"{data}/scale", WEIGHT_AND_UNDECAYED_BIAS)
