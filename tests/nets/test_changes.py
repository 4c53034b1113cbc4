"""What a user may change in a network: rates, names, BatchNorm's dialect."""

import pytest

from batchbrew.errors import InputError
from batchbrew.nets.alexnet import alexnet
from batchbrew.nets.blocks import unchanged
from batchbrew.nets.changes import (
    Changes,
    RateFactor,
    change,
    fuse_batch_norm,
    multiply_rate,
    rename_classifier,
)
from batchbrew.nets.cost import network_cost
from batchbrew.nets.phases import deploy_net
from batchbrew.nets.resnet import resnet
from batchbrew.proto import caffe_pb2 as pb
from tests.nets.released.lines import described


def resnet_10() -> pb.NetParameter:
    return deploy_net("net", resnet(10, 9), crop=64)


def rates(net: pb.NetParameter) -> dict[str, list[float]]:
    return {layer.name: [param.lr_mult for param in layer.param] for layer in net.layer if layer.param}


def test_rates_of_matching_layers_are_multiplied() -> None:
    net = resnet_10()
    before = rates(net)
    change(
        net,
        Changes(rate_factors=[RateFactor("conv1*", 0.5), RateFactor("score", 10), RateFactor("conv?", 0.5)]),
    )
    changed = {name: rate for name, rate in rates(net).items() if rate != before[name]}
    assert changed == {"conv1": [0.25, 0.5], "conv1_scale": [0.5, 1], "score": [10, 20]}


def test_a_factor_of_0_freezes_and_statistics_stay_frozen() -> None:
    net = resnet_10()
    multiply_rate(net, RateFactor("*", 0))
    assert {rate for some in rates(net).values() for rate in some} == {0}
    net = resnet_10()
    multiply_rate(net, RateFactor("conv1_*", 7))
    assert rates(net)["conv1_bn"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("konv1", "--lr-mult konv1=2 matches no layer: layers are named like conv1"),
        ("fc*", "--lr-mult fc*=2 matches no layer: layers are named like "),
        ("Conv1", "--lr-mult Conv1=2 matches no layer"),
        ("*_bn", "--lr-mult *_bn=2 matches only layers that learn nothing, such as data_bn"),
        ("prob", "--lr-mult prob=2 matches only layers that learn nothing, such as prob"),
    ],
)
def test_a_pattern_that_changes_nothing_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        multiply_rate(resnet_10(), RateFactor(pattern, 2))
    assert str(caught.value).startswith(message)


def test_the_classifier_gets_another_name() -> None:
    net = resnet_10()
    rename_classifier(net, "cells")
    last = [described(layer) for layer in net.layer][-2:]
    assert last == ["cells InnerProduct global_pool > cells 9", "prob Softmax cells > prob"]
    rename_classifier(net, "cells")  # its own name it may keep


@pytest.mark.parametrize(
    ("name", "why"), [("conv1", "another layer or blob"), ("prob", "another"), ("", "empty")]
)
def test_a_name_that_is_taken_is_refused(name: str, why: str) -> None:
    with pytest.raises(InputError, match=f"--classifier-name '{name}' cannot be used.*{why}"):
        rename_classifier(resnet_10(), name)


def test_fused_batch_norm_takes_over_the_scale() -> None:
    net = resnet_10()
    cost, lines = network_cost(net), [described(layer) for layer in net.layer]
    fuse_batch_norm(net)
    assert [described(layer) for layer in net.layer] == [line for line in lines if " Scale " not in line]
    assert network_cost(net) == cost
    norms = [layer for layer in net.layer if layer.type == "BatchNorm"]
    assert len(norms) == 10
    for layer in norms:
        assert layer.batch_norm_param == pb.BatchNormParameter(scale_bias=True)
        assert [param.lr_mult for param in layer.param] == [0, 0, 0, 1, 1]


def test_fused_batch_norm_leaves_what_has_no_scale() -> None:
    net = deploy_net("net", alexnet(9), crop=227)
    fuse_batch_norm(net)
    fused = [layer for layer in net.layer if layer.batch_norm_param.scale_bias]
    assert [described(layer) for layer in fused] == ["data/bn BatchNorm data > data/scale"]
    with pytest.raises(InputError, match="no BatchNorm here has one: add --scale"):
        fuse_batch_norm(deploy_net("net", alexnet(9, prepare=unchanged), crop=227))


def test_rates_of_a_fused_batch_norm_are_refused() -> None:
    net = resnet_10()
    with pytest.raises(InputError, match="matches conv1_bn, whose rate NVIDIA Caffe sets itself"):
        change(net, Changes(fused_batch_norm=True, rate_factors=[RateFactor("conv1*", 0)]))
