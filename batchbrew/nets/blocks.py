"""The pieces that networks are made of: fillers, multipliers and the BatchNorm→Scale pairing live here.

Every function appends layers to `net` and returns the name of the blob that they leave.
"""

from batchbrew.nets.netspec import NetBuilder
from batchbrew.proto import caffe_pb2 as pb

WEIGHT = pb.ParamSpec(lr_mult=1, decay_mult=1)
BIAS = pb.ParamSpec(lr_mult=2, decay_mult=1)
# Mean, variance and their factor are collected, not learned: a solver that touched them would ruin them.
STATISTICS = [pb.ParamSpec(lr_mult=0)] * 3

MSRA = pb.FillerParameter(type="msra")
MSRA_FAN_OUT = pb.FillerParameter(type="msra", variance_norm=pb.FillerParameter.FAN_OUT)


def convolution(
    net: NetBuilder,
    name: str,
    bottom: str,
    num_output: int,
    *,
    kernel: int,
    stride: int = 1,
    pad: int = 0,
    bias: bool = False,
    filler: pb.FillerParameter = MSRA,
) -> str:
    """A Convolution; without a bias where a BatchNorm follows, which would take it out again."""
    parameter = pb.ConvolutionParameter(
        num_output=num_output, pad=[pad], kernel_size=[kernel], stride=[stride], weight_filler=filler
    )
    if not bias:
        parameter.bias_term = False
    params = [WEIGHT, BIAS] if bias else [WEIGHT]
    return net.add(name, "Convolution", [bottom], param=params, convolution_param=parameter)


def batch_norm_scale(net: NetBuilder, bottom: str, top: str, *, bn: str, scale: str) -> str:
    """Caffe's BatchNorm only normalises; the Scale behind it, in place, learns the factor and the bias."""
    net.add(bn, "BatchNorm", [bottom], [top], param=STATISTICS)
    return net.add(
        scale, "Scale", [top], [top], param=[WEIGHT, BIAS], scale_param=pb.ScaleParameter(bias_term=True)
    )


def relu(net: NetBuilder, name: str, blob: str) -> str:
    """A ReLU, in place."""
    return net.add(name, "ReLU", [blob], [blob])


def max_pool(net: NetBuilder, name: str, bottom: str, *, kernel: int, stride: int) -> str:
    """A maximum over windows; Caffe rounds the number of windows up."""
    return net.add(
        name, "Pooling", [bottom], pooling_param=pb.PoolingParameter(kernel_size=kernel, stride=stride)
    )


def global_average_pool(net: NetBuilder, name: str, bottom: str) -> str:
    """N×C×H×W to N×C×1×1."""
    parameter = pb.PoolingParameter(pool=pb.PoolingParameter.AVE, global_pooling=True)
    return net.add(name, "Pooling", [bottom], pooling_param=parameter)


def add_up(net: NetBuilder, name: str, branch: str, shortcut: str) -> str:
    """The sum that ends a residual unit."""
    return net.add(name, "Eltwise", [branch, shortcut])


def classifier(net: NetBuilder, name: str, bottom: str, classes: int) -> str:
    """The last InnerProduct: a score for each class.

    No filler is written, as in the release: Caffe then starts from zero weights. The first loss is exactly
    ln(classes), and the first update moves this layer only.
    """
    parameter = pb.InnerProductParameter(num_output=classes)
    return net.add(name, "InnerProduct", [bottom], param=[WEIGHT, BIAS], inner_product_param=parameter)


def use_global_statistics(net: pb.NetParameter) -> None:
    """Let every BatchNorm normalise by its stored statistics, in training too, and collect no new ones.

    For fine-tuning with few images at a time. Of use only with weights that bring statistics along.
    """
    for layer in net.layer:
        if layer.type == "BatchNorm":
            layer.batch_norm_param.use_global_stats = True


def set_moving_average_fraction(net: pb.NetParameter, fraction: float) -> None:
    """Let every BatchNorm's statistics be a mean in which a batch counts `fraction` times as much as the next.

    Caffe's default of 0.999 looks back a thousand batches or so: in a shorter training the statistics that
    testing uses still hold those of the untrained net.
    """
    for layer in net.layer:
        if layer.type == "BatchNorm":
            layer.batch_norm_param.moving_average_fraction = fraction
