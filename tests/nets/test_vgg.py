"""VGG: parameters, fillers and multipliers; layers of the released ones are in test_released.py."""

import pytest

from batchbrew.nets.cost import network_cost
from batchbrew.nets.feedforward import batch_norm_scale
from batchbrew.nets.phases import Body, deploy_net
from batchbrew.nets.vgg import DEPTHS, vgg, vgg_original
from batchbrew.proto import caffe_pb2 as pb

# As torchvision publishes them, whose VGGs are these.
PARAMETERS = {11: 132_863_336, 13: 133_047_848, 16: 138_357_544, 19: 143_667_240}
# The same with batch normalisation: two learned numbers a channel, but fc6 and fc7 are not normalised there.
WITH_BATCH_NORM = {11: 132_868_840, 13: 133_053_736, 16: 138_365_992, 19: 143_678_248}
# Simonyan and Zisserman's table 1: convolutions of configurations A, B, D and E; the last line is the classifier's.
CONVOLUTIONS = {11: 8, 13: 10, 16: 13, 19: 16}


def layers(body: Body) -> list[pb.LayerParameter]:
    return list(deploy_net("net", body, crop=224).layer)


@pytest.mark.parametrize("depth", DEPTHS)
def test_parameters_are_those_published(depth: int) -> None:
    def learned(body: Body) -> int:
        return network_cost(deploy_net("net", body, crop=224)).learned

    assert learned(vgg_original(depth, 1000)) == PARAMETERS[depth]
    assert learned(vgg(depth, 1000)) == PARAMETERS[depth] + 2 * 3
    scaled = vgg(depth, 1000, normalise=batch_norm_scale)
    assert learned(scaled) == WITH_BATCH_NORM[depth] + 2 * 3 + 2 * (4096 + 4096)


@pytest.mark.parametrize("depth", DEPTHS)
def test_depth_counts_the_layers_with_weights(depth: int) -> None:
    for body in (vgg(depth, 10), vgg_original(depth, 10)):
        kinds = [layer.type for layer in layers(body)]
        assert kinds.count("Convolution") == CONVOLUTIONS[depth]
        assert kinds.count("Convolution") + kinds.count("InnerProduct") == depth


@pytest.mark.parametrize("depth", [11, 13])
def test_names_of_what_was_never_released_follow_the_rule(depth: int) -> None:
    names = [layer.name for layer in layers(vgg_original(depth, 10)) if layer.type == "Convolution"]
    second = depth == 13
    assert names == [
        *("conv1_1", "conv1_2", "conv2_1", "conv2_2")[:: 1 if second else 2],
        *("conv3_1", "conv3_2", "conv4_1", "conv4_2", "conv5_1", "conv5_2"),
    ]


def test_fillers_and_multipliers_are_those_of_the_release() -> None:
    expected = {
        "Convolution": ("gaussian", 0.01, 0),
        "fc6": ("gaussian", 0.005, 1),
        "fc7": ("gaussian", 0.005, 1),
        "fc8": ("gaussian", 0.01, 0),
    }
    for layer in layers(vgg(19, 1000)):
        multipliers = [(param.lr_mult, param.decay_mult) for param in layer.param]
        if layer.type == "BatchNorm":
            assert multipliers == [(0, 0)] * 3
            assert layer.batch_norm_param == pb.BatchNormParameter(moving_average_fraction=0.9)
        elif layer.type in ("Convolution", "InnerProduct"):
            convolution = layer.type == "Convolution"
            parameter = layer.convolution_param if convolution else layer.inner_product_param
            weights, bias = parameter.weight_filler, parameter.bias_filler
            found = (weights.type, round(weights.std, 6), bias.value)
            assert found == expected[layer.type if convolution else layer.name]
            assert multipliers == [(1, 1), (2, 0)]
        elif layer.type == "Scale":
            assert multipliers == [(1, 1), (2, 0)]


def test_the_original_starts_as_its_paper_says() -> None:
    for layer in layers(vgg_original(16, 10)):
        for parameter in (layer.convolution_param, layer.inner_product_param):
            if parameter.num_output:
                assert parameter.weight_filler.type == "xavier"
                assert parameter.bias_filler == pb.FillerParameter(type="constant", value=0)
