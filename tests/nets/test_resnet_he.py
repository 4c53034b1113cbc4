"""He's ResNets: parameters, other crops, strides and stems; layers of the released ones are in test_released.py."""

import pytest

from batchbrew.nets.cost import EmptyBlobError, network_cost
from batchbrew.nets.phases import Body, deploy_net
from batchbrew.nets.resnet_he import DEPTHS, resnet_he
from batchbrew.nets.shapes import infer_shapes
from batchbrew.proto import caffe_pb2 as pb
from tests.nets.released.lines import described

# As torchvision publishes them; buffers (running means and variances) are not in these.
PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
RELEASED_BIAS = {50: 64}  # of conv1, which torchvision does not have
# Billions with the stride on the first 1×1: He et al., table 1; and on the 3×3: torchvision's.
MULTIPLY_ADDS = {18: (1.8, 1.814), 34: (3.6, 3.664), 50: (3.8, 4.089), 101: (7.6, 7.801), 152: (11.3, 11.514)}


def lines(body: Body, crop: int = 224) -> list[str]:
    return [described(layer) for layer in deploy_net("net", body, crop=crop).layer]


@pytest.mark.parametrize("stride_on", [None, "3x3"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_parameters_and_multiply_adds_are_those_published(depth: int, stride_on: str | None) -> None:
    cost = network_cost(deploy_net("net", resnet_he(depth, 1000, 224, stride_on=stride_on), crop=224))
    assert cost.learned == PARAMETERS[depth] + RELEASED_BIAS.get(depth, 0)
    rounded, exact = MULTIPLY_ADDS[depth]
    if stride_on == "3x3" or depth < 50:
        assert cost.multiply_adds == pytest.approx(exact * 1e9, rel=2e-4)
    else:  # the paper rounds 3.86 and 11.28 down
        assert cost.multiply_adds == pytest.approx(rounded * 1e9, rel=0.016)


def test_statistics_are_those_of_torchvision_and_a_factor_each() -> None:
    cost = network_cost(deploy_net("net", resnet_he(50, 1000, 224), crop=224))
    assert cost.statistics == 53_120 + 53


def test_stride_moves_from_the_first_1x1_to_the_3x3() -> None:
    ours, moved = lines(resnet_he(50, 9, 224)), lines(resnet_he(50, 9, 224, stride_on="3x3"))
    changed = [(one, other) for one, other in zip(ours, moved, strict=True) if one != other]
    assert changed[:2] == [
        ("res3a_branch2a Convolution res2c > res3a_branch2a 128 1/2+0",
         "res3a_branch2a Convolution res2c > res3a_branch2a 128 1/1+0"),
        ("res3a_branch2b Convolution res3a_branch2a > res3a_branch2b 128 3/1+1",
         "res3a_branch2b Convolution res3a_branch2a > res3a_branch2b 128 3/2+1"),
    ]  # fmt: skip
    assert len(changed) == 6


def test_basic_units_project_only_where_size_and_width_change() -> None:
    made = lines(resnet_he(18, 9, 224))
    assert [line.split()[0] for line in made if "branch1" in line and " Convolution " in line] == [
        "res3a_branch1",
        "res4a_branch1",
        "res5a_branch1",
    ]
    assert "res2a Eltwise pool1 res2a_branch2b > res2a" in made
    assert "res3a_branch1 Convolution res2b > res3a_branch1 128 1/2+0" in made
    assert "res3a_branch2a Convolution res2b > res3a_branch2a 128 3/2+1" in made
    assert "conv1 Convolution data > conv1 64 7/2+3" in made
    assert [line.split()[0] for line in lines(resnet_he(34, 9, 224)) if "Eltwise" in line][3:13] == [
        *("res3a", "res3b", "res3c", "res3d"),
        *("res4a", "res4b", "res4c", "res4d", "res4e", "res4f"),
    ]


@pytest.mark.parametrize("stem", ["imagenet", "small"])
@pytest.mark.parametrize("crop", [3, 4, 5, 31, 32, 33, 47, 64, 97, 224, 225, 256, 320])
def test_the_last_pooling_covers_whatever_is_left(crop: int, stem: str) -> None:
    net = deploy_net("net", resnet_he(18, 9, crop, stem=stem), crop=crop)
    layers = {layer.layer.name: layer for layer in infer_shapes(net, pb.TEST).layers}
    assert layers["pool5"].tops["pool5"] == (1, 512, 1, 1)
    pooling = next(layer for layer in net.layer if layer.name == "pool5").pooling_param
    assert tuple(layers["pool5"].bottoms[0]) == (1, 512, pooling.kernel_size, pooling.kernel_size)


@pytest.mark.parametrize("crop", [1, 2])
def test_crops_that_leave_nothing_are_empty_blobs(crop: int) -> None:
    with pytest.raises(EmptyBlobError, match="pool1"):
        network_cost(deploy_net("net", resnet_he(18, 9, crop), crop=crop))


def test_small_stem_keeps_the_size() -> None:
    assert lines(resnet_he(18, 10, 32, stem="small"), crop=32)[1:6] == [
        "conv1 Convolution data > conv1 64 3/1+1",
        "bn_conv1 BatchNorm conv1 > conv1",
        "scale_conv1 Scale conv1 > conv1",
        "conv1_relu ReLU conv1 > conv1",
        "res2a_branch2a Convolution conv1 > res2a_branch2a 64 3/1+1",
    ]
