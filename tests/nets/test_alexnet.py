"""AlexNet: fillers, multipliers and the variants' differences; its layers are in test_released.py."""

from batchbrew.nets.alexnet import alexnet, alexnet_original
from batchbrew.nets.blocks import unchanged
from batchbrew.nets.cost import network_cost
from batchbrew.nets.feedforward import batch_norm_scale
from batchbrew.nets.phases import Body, deploy_net
from batchbrew.proto import caffe_pb2 as pb
from tests.nets.released.lines import described


def layers(body: Body) -> dict[str, pb.LayerParameter]:
    return {layer.name: layer for layer in deploy_net("net", body, crop=227).layer}


def fillers(body: Body) -> dict[str, tuple[str, float, float]]:
    """Of weights type and standard deviation, of biases the value."""
    found = {}
    for name, layer in layers(body).items():
        for parameter in (layer.convolution_param, layer.inner_product_param):
            if parameter.num_output:
                assert parameter.bias_filler.type == "constant"
                weights, bias = parameter.weight_filler, parameter.bias_filler
                found[name] = (weights.type, round(weights.std, 6), round(bias.value, 6))
    return found


def test_fillers_are_those_of_the_releases() -> None:
    names = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    assert fillers(alexnet(1000)) == dict.fromkeys(names, ("msra", 1, 0))
    assert fillers(alexnet_original(1000)) == {
        "conv1": ("gaussian", 0.01, 0),
        "conv2": ("gaussian", 0.01, 0.1),
        "conv3": ("gaussian", 0.01, 0),
        "conv4": ("gaussian", 0.01, 0.1),
        "conv5": ("gaussian", 0.01, 0.1),
        "fc6": ("gaussian", 0.005, 0.1),
        "fc7": ("gaussian", 0.005, 0.1),
        "fc8": ("gaussian", 0.01, 0),
    }


def test_multipliers_are_those_of_the_releases() -> None:
    for body in (alexnet(1000), alexnet_original(1000)):
        for layer in layers(body).values():
            multipliers = [(param.lr_mult, param.decay_mult) for param in layer.param]
            if layer.type == "BatchNorm":
                assert multipliers == [(0, 0)] * 3
                assert layer.batch_norm_param == pb.BatchNormParameter(moving_average_fraction=0.9)
            elif layer.type in ("Convolution", "InnerProduct", "Scale"):
                assert multipliers == [(1, 1), (2, 0)]
            else:
                assert multipliers == []


def test_scale_follows_every_batch_norm() -> None:
    with_scale = [described(layer) for layer in layers(alexnet(9, normalise=batch_norm_scale)).values()]
    without = [described(layer) for layer in layers(alexnet(9)).values()]
    added = [line for line in with_scale if line not in without]
    assert added == [
        f"{name}/scale Scale {name}/bn > {name}/bn"
        for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    ]
    for line in added:
        before = with_scale[with_scale.index(line) - 1]
        assert before.split()[0] == line.split()[0].replace("/scale", "/bn")


def test_images_may_come_with_their_mean_subtracted() -> None:
    names = [described(layer) for layer in layers(alexnet(9, prepare=unchanged)).values()]
    assert names[1] == "conv1 Convolution data > conv1 96 11/4+0 bias"


def test_parameters_are_those_published() -> None:
    """BVLC's caffemodel, and the sum by hand; the release has a Scale of 3 + 3 more."""
    by_hand = (
        96 * 3 * 11 * 11 + 256 * 48 * 5 * 5 + 384 * 256 * 3 * 3 + 384 * 192 * 3 * 3 + 256 * 192 * 3 * 3
        + 96 + 256 + 384 + 384 + 256 + 4096 * (256 * 6 * 6 + 1) + 4096 * 4097 + 1000 * 4097
    )  # fmt: skip
    assert by_hand == 60_965_224
    cost = network_cost(deploy_net("net", alexnet_original(1000), crop=227))
    assert (cost.learned, cost.statistics) == (60_965_224, 0)
    cost = network_cost(deploy_net("net", alexnet(1000), crop=227))
    channels = 3 + 96 + 256 + 384 + 384 + 256 + 4096 + 4096
    assert (cost.learned, cost.statistics) == (60_965_224 + 6, 2 * channels + 8)
