"""Parameters and multiply-adds against real Caffe, and published figures."""

from typing import Any

import pytest

from batchbrew.nets.alexnet import alexnet_original
from batchbrew.nets.cost import EmptyBlobError, network_cost, smallest_crop
from batchbrew.nets.phases import Body, deploy_net
from batchbrew.nets.resnet import DEPTHS, resnet
from batchbrew.nets.resnet_he import resnet_he
from batchbrew.nets.vgg import vgg_original
from batchbrew.proto import caffe_pb2 as pb
from tests.nets.conftest import CLASSES, CROPS


@pytest.mark.parametrize("depth", DEPTHS)
def test_agrees_with_caffe(resnets_in_caffe: dict[int, dict[str, Any]], depth: int) -> None:
    cost = network_cost(deploy_net("net", resnet(depth, CLASSES), crop=CROPS[depth]))
    answer = resnets_in_caffe[depth]
    assert (cost.learned, cost.statistics) == (answer["learned"], answer["statistics"])
    assert 2 * cost.multiply_adds == answer["multiply_adds"]


@pytest.mark.parametrize(
    ("depth", "published"),
    # He et al., table 1, gives 1.8, 3.6, 3.8, 7.6 and 11.3 billion; its bottlenecks have the stride on the
    # first 1×1. With the stride on the 3×3 they are 4.1, 7.8 and 11.5 (fb.resnet.torch, torchvision).
    [(18, 1.814e9), (34, 3.664e9), (50, 4.089e9), (101, 7.801e9), (152, 11.514e9)],
)
def test_multiply_adds_are_those_published(depth: int, published: float) -> None:
    cost = network_cost(deploy_net("net", resnet(depth, 1000), crop=224))
    assert cost.multiply_adds == pytest.approx(published, rel=2e-4)


def test_smallest_crop_is_one_more_than_one_too_small() -> None:
    def deploy(crop: int) -> pb.NetParameter:
        return deploy_net("net", resnet(18, 5), crop=crop)

    # conv1 makes 1 pixel of 2, over which no 3×3 window fits; of 3 it makes 2, and Caffe rounds up.
    assert smallest_crop(deploy, 1) == 3
    with pytest.raises(EmptyBlobError, match=r"the output of layer conv1_pool would be 1×64×0×0"):
        network_cost(deploy(2))


@pytest.mark.parametrize(
    ("body", "crop", "parameters", "multiply_adds"),
    # AlexNet in two groups: 61.0 M, 724 M. VGG: parameters as torchvision counts them, 7.61, 11.31, 15.47 and
    # 19.63 billion multiply-adds. He's ResNets: 3.8, 7.6, 11.3 in his table 1.
    [
        (alexnet_original(1000), 227, 60_965_224, 724.4e6),
        (vgg_original(11, 1000), 224, 132_863_336, 7.609e9),
        (vgg_original(13, 1000), 224, 133_047_848, 11.308e9),
        (vgg_original(16, 1000), 224, 138_357_544, 15.470e9),
        (vgg_original(19, 1000), 224, 143_667_240, 19.632e9),
        (
            resnet_he(50, 1000, 224),
            224,
            25_557_032 + 64,
            3.858e9,
        ),  # and conv1's bias, which torchvision has not
        (resnet_he(101, 1000, 224), 224, 44_549_160, 7.570e9),
        (resnet_he(152, 1000, 224), 224, 60_192_808, 11.283e9),
    ],
)
def test_originals_are_as_published(body: Body, crop: int, parameters: int, multiply_adds: float) -> None:
    cost = network_cost(deploy_net("net", body, crop=crop))
    assert cost.learned == parameters
    assert cost.multiply_adds == pytest.approx(multiply_adds, rel=2e-4)
