"""The ResNets against the facts of the release, and in real Caffe."""

import math
from itertools import pairwise
from typing import Any

import pytest

from batchbrew.nets.inputs import DataSource
from batchbrew.nets.phases import deploy_net, train_val_net
from batchbrew.nets.resnet import DEPTHS, resnet
from batchbrew.proto import caffe_pb2 as pb

# What the released definitions say, a layer a line: name, type, bottoms > top, and of a convolution
# outputs, kernel/stride+pad. `~` continues the name of the unit.
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
score InnerProduct global_pool > score 1000 bias
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
RESNET_10 = [
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


def resnet_50() -> list[str]:
    facts = [STEM, *RESNET_50_FIRST_UNIT]
    for before, unit in pairwise(RESNET_50_UNITS):
        lines = RESNET_50_LATER_STAGES_FIRST if unit.endswith("_1") else RESNET_50_OTHERS
        width = int(unit.partition("_")[0])
        fill = {"bottom": f"layer_{before}_sum", "width": width, "wide": 4 * width}
        facts += [f"layer_{unit}_", *(line.format(**fill) for line in lines)]
    return [*facts, TAIL.format(bottom="layer_512_3_sum")]


def expanded(facts: list[str]) -> list[str]:
    """One line a layer, names in full."""
    unit, lines = "", []
    for fact in facts:
        if fact.startswith("layer_") and " " not in fact:
            unit = fact
            continue
        lines += [line.replace("~", unit) for line in fact.strip().splitlines()]
    return lines


def described(layer: pb.LayerParameter) -> str:
    """`layer` in the words of the tables above."""
    words = [layer.name, layer.type, *layer.bottom, ">", *layer.top]
    if layer.type == "Convolution":
        convolution = layer.convolution_param
        words += [
            str(convolution.num_output),
            f"{convolution.kernel_size[0]}/{convolution.stride[0]}+{convolution.pad[0]}",
            *(["bias"] if convolution.bias_term else []),
        ]
    elif layer.type == "Pooling" and layer.pooling_param.global_pooling:
        assert layer.pooling_param.pool == pb.PoolingParameter.AVE
        words += ["average", "global"]
    elif layer.type == "Pooling":
        pooling = layer.pooling_param
        assert pooling.pool == pb.PoolingParameter.MAX
        words += ["max", f"{pooling.kernel_size}/{pooling.stride}+{pooling.pad}"]
    elif layer.type == "InnerProduct":
        words += [str(layer.inner_product_param.num_output), "bias"]
    return " ".join(words)


def body_layers(depth: int) -> list[pb.LayerParameter]:
    layers = list(deploy_net("net", resnet(depth, 1000), crop=224).layer)
    assert [layers[0].name, layers[-1].name] == ["data", "prob"]
    return layers[1:-1]


@pytest.mark.parametrize(("depth", "facts"), [(10, RESNET_10), (50, resnet_50())])
def test_layers_are_those_of_the_release(depth: int, facts: list[str]) -> None:
    assert [described(layer) for layer in body_layers(depth)] == expanded(facts)


@pytest.mark.parametrize("depth", [10, 50])
def test_multipliers_and_fillers_are_those_of_the_release(depth: int) -> None:
    for layer in body_layers(depth):
        multipliers = [(param.lr_mult, param.decay_mult) for param in layer.param]
        if layer.type == "BatchNorm":
            assert multipliers == [(0, 1)] * 3
            assert not layer.HasField("batch_norm_param")  # Caffe's defaults: 0.999, 1e-5
        elif layer.type == "Scale":
            assert multipliers == [(1, 1), (2, 1)]
            assert layer.scale_param == pb.ScaleParameter(bias_term=True)
        elif layer.type == "Convolution":
            assert multipliers == ([(1, 1), (2, 1)] if layer.name == "conv1" else [(1, 1)])
            filler = layer.convolution_param.weight_filler
            fan = pb.FillerParameter.FAN_OUT if layer.name == "conv1" else pb.FillerParameter.FAN_IN
            assert (filler.type, filler.variance_norm) == ("msra", fan)
        elif layer.type == "InnerProduct":
            assert multipliers == [(1, 1), (2, 1)]
            assert not layer.inner_product_param.HasField("weight_filler")
        else:
            assert multipliers == []


@pytest.mark.parametrize("depth", DEPTHS)
def test_depth_counts_the_layers_with_weights(depth: int) -> None:
    """The first convolution, those of the units without projections, and the classifier."""
    counted = [
        layer.name
        for layer in body_layers(depth)
        if layer.type in ("Convolution", "InnerProduct") and "expand" not in layer.name
    ]
    assert len(counted) == depth


@pytest.mark.parametrize("depth", DEPTHS)
def test_gradients_reach_every_learned_blob_in_caffe(
    resnets_in_caffe: dict[int, dict[str, Any]], depth: int
) -> None:
    answer = resnets_in_caffe[depth]
    gradients = answer["gradients"]
    # conv1_bn subtracts whatever conv1's bias adds: only rounding is left of that gradient.
    assert math.isfinite(gradients.pop("conv1/1"))
    assert math.isfinite(answer["loss"])
    assert len(gradients) > depth
    assert {name: size for name, size in gradients.items() if not 0 < size < math.inf} == {}


def test_train_and_deploy_have_one_body() -> None:
    source = DataSource("images", "lmdb", 4)
    train_val = train_val_net("net", resnet(18, 9), train=source, val=source, crop=64, classes=9)
    deploy = deploy_net("net", resnet(18, 9), crop=64)
    assert list(train_val.layer)[2:-3] == list(deploy.layer)[1:-1]
