"""Random layers that compute each number from one."""

from collections.abc import Callable
from random import Random

from batchbrew.parity.specimens.chance import Bottom, Maker, Specimen, any_shape, maybe
from batchbrew.parity.specimens.values import Values, between, usual
from batchbrew.proto import caffe_pb2 as pb

# Sets the layer's own parameters and says what suits it.
Setting = Callable[[Random, pb.LayerParameter], Values]


def neuron(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        values = SETTINGS[kind](random, layer)
        bottom = Bottom(any_shape(random), values, gradient=kind != "Threshold")
        return Specimen([bottom], layer, in_place=True)

    return make


def _plain(random: Random, layer: pb.LayerParameter) -> Values:
    return usual if maybe(random, 0.5) else between(-4, 4)


def _relu(random: Random, layer: pb.LayerParameter) -> Values:
    if maybe(random, 0.5):
        layer.relu_param.negative_slope = random.choice([0, 0.1, 0.5, -0.25])
    return usual


def _elu(random: Random, layer: pb.LayerParameter) -> Values:
    if maybe(random, 0.7):
        layer.elu_param.alpha = random.choice([0, 0.3, 1.5])
    return usual


def _clip(random: Random, layer: pb.LayerParameter) -> Values:
    layer.clip_param.min, layer.clip_param.max = sorted([random.uniform(-2, 0.5), random.uniform(0, 2)])
    return usual


def _swish(random: Random, layer: pb.LayerParameter) -> Values:
    if maybe(random, 0.7):
        layer.swish_param.beta = random.choice([0, 0.5, 2, -1])
    return usual


def _threshold(random: Random, layer: pb.LayerParameter) -> Values:
    if maybe(random, 0.7):
        layer.threshold_param.threshold = random.choice([0.0, 0.5, -0.5])
    return usual


def _dropout(random: Random, layer: pb.LayerParameter) -> Values:
    if maybe(random, 0.7):
        layer.dropout_param.dropout_ratio = random.choice([0.1, 0.3, 0.5, 0.9])
    return usual


def _exp(random: Random, layer: pb.LayerParameter) -> Values:
    parameter = layer.exp_param
    if maybe(random, 0.6):
        parameter.base = random.choice([2, 0.5, 10, -1])
    if maybe(random, 0.6):
        parameter.scale = random.choice([0, 0.5, -1, 1.5])
    if maybe(random, 0.6):
        parameter.shift = random.choice([-1, 0.5])
    if maybe(random, 0.04):
        parameter.base = -2  # refused
    return between(-2, 2)


def _log(random: Random, layer: pb.LayerParameter) -> Values:
    parameter = layer.log_param
    if maybe(random, 0.6):
        parameter.base = random.choice([2, 0.5, 10, -1])
    if maybe(random, 0.6):
        parameter.scale = random.choice([0.5, 3])
    if maybe(random, 0.6):
        parameter.shift = random.choice([0.1, 2])
    if maybe(random, 0.04):
        parameter.base = -2  # refused
    return between(0.1, 5)


def _power(random: Random, layer: pb.LayerParameter) -> Values:
    parameter = layer.power_param
    if maybe(random, 0.8):
        parameter.power = random.choice([0, 1, 2, 3, 0.5, -1, 1.7])
    if maybe(random, 0.6):
        parameter.scale = random.choice([0, 0.5, 2])
    if maybe(random, 0.6):
        parameter.shift = random.choice([0.25, 1])
    if parameter.power in (0, 1, 2):
        if maybe(random):
            parameter.scale = -1.5
        return usual
    return between(0.1, 3)


SETTINGS: dict[str, Setting] = {
    "AbsVal": _plain,
    "BNLL": _plain,
    "Clip": _clip,
    "Dropout": _dropout,
    "ELU": _elu,
    "Exp": _exp,
    "Log": _log,
    "Power": _power,
    "ReLU": _relu,
    "Sigmoid": _plain,
    "Swish": _swish,
    "TanH": _plain,
    "Threshold": _threshold,
}
NEURONS = tuple(SETTINGS)
