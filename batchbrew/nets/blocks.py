"""The pieces that networks are made of: fillers, multipliers and the BatchNorm→Scale pairing live here.

Every function appends layers to `net` and returns the name of the blob that they leave.
"""

from collections.abc import Sequence

from batchbrew.nets.netspec import NetBuilder
from batchbrew.proto import caffe_pb2 as pb

WEIGHT = pb.ParamSpec(lr_mult=1, decay_mult=1)
BIAS = pb.ParamSpec(lr_mult=2, decay_mult=1)
UNDECAYED_BIAS = pb.ParamSpec(lr_mult=2, decay_mult=0)
WEIGHT_ONLY = (WEIGHT,)  # where a BatchNorm follows, which would take a bias out again
WEIGHT_AND_BIAS = (WEIGHT, BIAS)
WEIGHT_AND_UNDECAYED_BIAS = (WEIGHT, UNDECAYED_BIAS)
# Mean, variance and their factor are collected, not learned: a solver that touched them would ruin them.
STATISTICS = (pb.ParamSpec(lr_mult=0),) * 3
# The same to Caffe, which multiplies decay by the rate too; how the releases of AlexNet and VGG19 say it.
UNDECAYED_STATISTICS = (pb.ParamSpec(lr_mult=0, decay_mult=0),) * 3

MSRA = pb.FillerParameter(type="msra")
MSRA_FAN_OUT = pb.FillerParameter(type="msra", variance_norm=pb.FillerParameter.FAN_OUT)
XAVIER = pb.FillerParameter(type="xavier")


def gaussian(std: float) -> pb.FillerParameter:
    """Normally distributed around 0."""
    return pb.FillerParameter(type="gaussian", std=std)


def constant(value: float) -> pb.FillerParameter:
    """The same value everywhere."""
    return pb.FillerParameter(type="constant", value=value)


def convolution(
    net: NetBuilder,
    name: str,
    bottom: str,
    num_output: int,
    *,
    kernel: int,
    stride: int = 1,
    pad: int = 0,
    group: int = 1,
    params: Sequence[pb.ParamSpec] = WEIGHT_ONLY,
    filler: pb.FillerParameter = MSRA,
    bias_filler: pb.FillerParameter | None = None,
) -> str:
    """A Convolution; it has a bias if there are two `params`, zero at first unless `bias_filler` says more."""
    parameter = pb.ConvolutionParameter(
        num_output=num_output,
        pad=[pad],
        kernel_size=[kernel],
        stride=[stride],
        weight_filler=filler,
        bias_filler=bias_filler,
    )
    if group != 1:
        parameter.group = group
    if len(params) == 1:
        parameter.bias_term = False
    return net.add(name, "Convolution", [bottom], param=params, convolution_param=parameter)


def inner_product(
    net: NetBuilder,
    name: str,
    bottom: str,
    num_output: int,
    *,
    params: Sequence[pb.ParamSpec] = WEIGHT_AND_BIAS,
    filler: pb.FillerParameter | None = None,
    bias_filler: pb.FillerParameter | None = None,
) -> str:
    """Every input with every output: N×(C·H·W) to N×num_output. Without fillers Caffe starts from zeros."""
    parameter = pb.InnerProductParameter(num_output=num_output, weight_filler=filler, bias_filler=bias_filler)
    return net.add(name, "InnerProduct", [bottom], param=params, inner_product_param=parameter)


def classifier(net: NetBuilder, name: str, bottom: str, classes: int) -> str:
    """The last InnerProduct: a score for each class.

    No filler is written, as in the release: Caffe then starts from zero weights. The first loss is exactly
    ln(classes), and the first update moves this layer only.
    """
    return inner_product(net, name, bottom, classes)


def batch_norm_scale(net: NetBuilder, bottom: str, top: str, *, bn: str, scale: str) -> str:
    """Caffe's BatchNorm only normalises; the Scale behind it, in place, learns the factor and the bias."""
    net.add(bn, "BatchNorm", [bottom], [top], param=STATISTICS)
    return learned_scale(net, scale, top, top)


def learned_scale(
    net: NetBuilder, name: str, bottom: str, top: str, params: Sequence[pb.ParamSpec] = WEIGHT_AND_BIAS
) -> str:
    """A factor and a bias for each channel."""
    parameter = pb.ScaleParameter(bias_term=True)
    return net.add(name, "Scale", [bottom], [top], param=params, scale_param=parameter)


def unchanged(net: NetBuilder, blob: str) -> str:
    """Nothing, where another variant of a network has a normalisation."""
    return blob


def relu(net: NetBuilder, name: str, bottom: str, top: str | None = None) -> str:
    """A ReLU, in place unless `top` names another blob."""
    return net.add(name, "ReLU", [bottom], [top or bottom])


def dropout(net: NetBuilder, name: str, blob: str) -> str:
    """In training half of all values, chosen anew each time, become 0 and the others twice as large; in place."""
    parameter = pb.DropoutParameter(dropout_ratio=0.5)
    return net.add(name, "Dropout", [blob], [blob], dropout_param=parameter)


def local_response_norm(net: NetBuilder, name: str, bottom: str) -> str:
    """Krizhevsky's: a value divided by (1 + α/5 · the sum of squares over 5 neighbouring channels)^β."""
    parameter = pb.LRNParameter(local_size=5, alpha=1e-4, beta=0.75)
    return net.add(name, "LRN", [bottom], lrn_param=parameter)


def max_pool(net: NetBuilder, name: str, bottom: str, *, kernel: int, stride: int) -> str:
    """A maximum over windows; Caffe rounds the number of windows up."""
    return net.add(
        name, "Pooling", [bottom], pooling_param=pb.PoolingParameter(kernel_size=kernel, stride=stride)
    )


def average_pool(net: NetBuilder, name: str, bottom: str, *, kernel: int) -> str:
    """A mean over windows a pixel apart."""
    parameter = pb.PoolingParameter(pool=pb.PoolingParameter.AVE, kernel_size=kernel, stride=1)
    return net.add(name, "Pooling", [bottom], pooling_param=parameter)


def global_average_pool(net: NetBuilder, name: str, bottom: str) -> str:
    """N×C×H×W to N×C×1×1."""
    parameter = pb.PoolingParameter(pool=pb.PoolingParameter.AVE, global_pooling=True)
    return net.add(name, "Pooling", [bottom], pooling_param=parameter)


def add_up(net: NetBuilder, name: str, first: str, second: str) -> str:
    """The sum that ends a residual unit."""
    return net.add(name, "Eltwise", [first, second])
