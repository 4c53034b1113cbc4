"""cvjena's pre-activation ResNet-10 and ResNet-50, in the words of `lines`; `~` continues the name of the unit."""

from itertools import pairwise

STEM = """
data_bn BatchNorm data > data_bn
data_scale Scale data_bn > data_bn
conv1 Convolution data_bn > conv1 64 7/2+3 bias
conv1_bn BatchNorm conv1 > conv1
conv1_scale Scale conv1 > conv1
conv1_relu ReLU conv1 > conv1
conv1_pool Pooling conv1 > conv1_pool max 3/2+0
"""
TAIL = """
last_bn BatchNorm {bottom} > {bottom}
last_scale Scale {bottom} > {bottom}
last_relu ReLU {bottom} > {bottom}
global_pool Pooling {bottom} > global_pool average global
score InnerProduct global_pool > score 1000
"""
BN_1 = """
~bn1 BatchNorm {bottom} > ~bn1
~scale1 Scale ~bn1 > ~bn1
~relu1 ReLU ~bn1 > ~bn1
"""
BN_2 = """
~bn2 BatchNorm ~conv1 > ~conv1
~scale2 Scale ~conv1 > ~conv1
~relu2 ReLU ~conv1 > ~conv1
"""
BN_3 = """
~bn3 BatchNorm ~conv2 > ~conv2
~scale3 Scale ~conv2 > ~conv2
~relu3 ReLU ~conv2 > ~conv2
"""
_RESNET_10 = [
    STEM,
    "layer_64_1_",
    "~conv1 Convolution conv1_pool > ~conv1 64 3/1+1",
    BN_2,
    "~conv2 Convolution ~conv1 > ~conv2 64 3/1+1",
    "~sum Eltwise ~conv2 conv1_pool > ~sum",
    "layer_128_1_",
    BN_1.format(bottom="layer_64_1_sum"),
    "~conv1 Convolution ~bn1 > ~conv1 128 3/2+1",
    BN_2,
    "~conv2 Convolution ~conv1 > ~conv2 128 3/1+1",
    "~conv_expand Convolution ~bn1 > ~conv_expand 128 1/2+0",
    "~sum Eltwise ~conv2 ~conv_expand > ~sum",
    "layer_256_1_",
    BN_1.format(bottom="layer_128_1_sum"),
    "~conv1 Convolution ~bn1 > ~conv1 256 3/2+1",
    BN_2,
    "~conv2 Convolution ~conv1 > ~conv2 256 3/1+1",
    "~conv_expand Convolution ~bn1 > ~conv_expand 256 1/2+0",
    "~sum Eltwise ~conv2 ~conv_expand > ~sum",
    "layer_512_1_",
    BN_1.format(bottom="layer_256_1_sum"),
    "~conv1 Convolution ~bn1 > ~conv1 512 3/2+1",
    BN_2,
    "~conv2 Convolution ~conv1 > ~conv2 512 3/1+1",
    "~conv_expand Convolution ~bn1 > ~conv_expand 512 1/2+0",
    "~sum Eltwise ~conv2 ~conv_expand > ~sum",
    TAIL.format(bottom="layer_512_1_sum"),
]
RESNET_50_FIRST_UNIT = [
    "layer_64_1_",
    "~conv1 Convolution conv1_pool > ~conv1 64 1/1+0",
    BN_2,
    "~conv2 Convolution ~conv1 > ~conv2 64 3/1+1",
    BN_3,
    "~conv3 Convolution ~conv2 > ~conv3 256 1/1+0",
    "~conv_expand Convolution ~conv1 > ~conv_expand 256 1/1+0",
    "~sum Eltwise ~conv3 ~conv_expand > ~sum",
]
RESNET_50_LATER_STAGES_FIRST = [
    BN_1,
    "~conv1 Convolution ~bn1 > ~conv1 {width} 1/1+0",
    BN_2,
    "~conv2 Convolution ~conv1 > ~conv2 {width} 3/2+1",
    BN_3,
    "~conv3 Convolution ~conv2 > ~conv3 {wide} 1/1+0",
    "~conv_expand Convolution ~bn1 > ~conv_expand {wide} 1/2+0",
    "~sum Eltwise ~conv3 ~conv_expand > ~sum",
]
RESNET_50_OTHERS = [
    BN_1,
    "~conv1 Convolution ~bn1 > ~conv1 {width} 1/1+0",
    BN_2,
    "~conv2 Convolution ~conv1 > ~conv2 {width} 3/1+1",
    BN_3,
    "~conv3 Convolution ~conv2 > ~conv3 {wide} 1/1+0",
    "~sum Eltwise ~conv3 {bottom} > ~sum",
]
RESNET_50_UNITS = [
    *("64_1", "64_2", "64_3"),
    *("128_1", "128_2", "128_3", "128_4"),
    *("256_1", "256_2", "256_3", "256_4", "256_5", "256_6"),
    *("512_1", "512_2", "512_3"),
]


def _resnet_50() -> list[str]:
    facts = [STEM, *RESNET_50_FIRST_UNIT]
    for before, unit in pairwise(RESNET_50_UNITS):
        lines = RESNET_50_LATER_STAGES_FIRST if unit.endswith("_1") else RESNET_50_OTHERS
        width = int(unit.partition("_")[0])
        fill = {"bottom": f"layer_{before}_sum", "width": width, "wide": 4 * width}
        facts += [f"layer_{unit}_", *(line.format(**fill) for line in lines)]
    return [*facts, TAIL.format(bottom="layer_512_3_sum")]


def _expanded(facts: list[str]) -> list[str]:
    """One line a layer, names in full."""
    unit, lines = "", []
    for fact in facts:
        if fact.startswith("layer_") and " " not in fact:
            unit = fact
            continue
        lines += [line.replace("~", unit) for line in fact.strip().splitlines()]
    return lines


RESNET_10 = _expanded(_RESNET_10)
RESNET_50 = _expanded(_resnet_50())
