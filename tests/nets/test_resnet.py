"""The pre-activation ResNets: what the facts of the release do not say, and in real Caffe."""

import math
from typing import Any

import pytest

from batchbrew.nets.inputs import DataSource
from batchbrew.nets.phases import deploy_net, train_val_net
from batchbrew.nets.resnet import DEPTHS, resnet
from batchbrew.proto import caffe_pb2 as pb


def body_layers(depth: int) -> list[pb.LayerParameter]:
    layers = list(deploy_net("net", resnet(depth, 1000), crop=224).layer)
    assert [layers[0].name, layers[-1].name] == ["data", "prob"]
    return layers[1:-1]


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
