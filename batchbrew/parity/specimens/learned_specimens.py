"""Random layers with parameters, convolutions apart."""

from random import Random

from batchbrew.parity.specimens.chance import (
    Bottom,
    Maker,
    Specimen,
    any_shape,
    axis,
    maybe,
    shape,
    some_learning_rates,
)
from batchbrew.parity.specimens.values import indicators, integers, normal, usual
from batchbrew.proto import caffe_pb2 as pb


def inner_product(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="InnerProduct")
    bottom = any_shape(random)
    parameter = layer.inner_product_param
    parameter.num_output = random.randint(1, 5)
    parameter.bias_term = maybe(random, 0.6)
    parameter.transpose = maybe(random)
    if len(bottom) == 1 or maybe(random, 0.5):
        parameter.axis = axis(random, len(bottom))
    some_learning_rates(random, layer, 1 + parameter.bias_term)
    return Specimen([Bottom(bottom)], layer)


def embed(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Embed")
    parameter = layer.embed_param
    parameter.num_output, parameter.input_dim = random.randint(1, 5), random.randint(1, 9)
    parameter.bias_term = maybe(random, 0.6)
    some_learning_rates(random, layer, 1 + parameter.bias_term)
    return Specimen([Bottom(any_shape(random, 1, 3), integers(parameter.input_dim), gradient=False)], layer)


def scale_or_bias(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        parameter = layer.scale_param if kind == "Scale" else layer.bias_param
        bottom = any_shape(random)
        start = random.randint(0, len(bottom) - 1)
        parameter.axis = start if maybe(random, 0.5) else start - len(bottom)
        if kind == "Scale":
            layer.scale_param.bias_term = maybe(random, 0.5)
        if maybe(random):
            end = random.randint(start, len(bottom))
            factors = bottom[start:end]
            if not factors:
                factors = (bottom[start],)
            if maybe(random, 0.1):
                factors = (*factors[:-1], factors[-1] + 1)
            return Specimen([Bottom(bottom), Bottom(factors)], layer, in_place=True)
        parameter.num_axes = random.choice([-1, 0, 1, 1, 2])
        some_learning_rates(random, layer, 1 + layer.scale_param.bias_term)
        return Specimen([Bottom(bottom)], layer, in_place=True)

    return make


def batch_norm(random: Random) -> Specimen:
    """Some have one number for a channel only, from which no variance can be had; most have several."""
    layer = pb.LayerParameter(type="BatchNorm")
    parameter = layer.batch_norm_param
    for _ in range(random.choice([0, 0, 1, 3, 3])):
        layer.param.add(lr_mult=random.choice([0, 0, 0, 0, 1]))
    if maybe(random, 0.5):
        parameter.use_global_stats = maybe(random, 0.5)
    if maybe(random, 0.5):
        parameter.eps = random.choice([1e-3, 1e-4, 2e-5])
    if maybe(random, 0.5):
        parameter.moving_average_fraction = random.choice([0.9, 0.5, 0.95])
    if maybe(random, 0.1):
        return Specimen([Bottom(any_shape(random, 1, 2))], layer, in_place=True)
    bottom = (random.randint(4, 6), *any_shape(random, 1, 4))
    values = usual if maybe(random, 0.7) else normal(100, 30)
    return Specimen([Bottom(bottom, values)], layer, in_place=True)


def prelu(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="PReLU")
    layer.prelu_param.channel_shared = maybe(random)
    some_learning_rates(random, layer, 1)
    bottom = any_shape(random, 1 if maybe(random, 0.1) else 2, 5)
    return Specimen([Bottom(bottom)], layer, in_place=True)


def parameter(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Parameter")
    layer.parameter_param.shape.dim.extend(any_shape(random))
    return Specimen([], layer)


def recurrent(kind: str) -> Maker:
    states = {"LSTM": 2, "RNN": 1}[kind]

    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        parameter = layer.recurrent_param
        steps, streams, outputs = random.randint(1, 3), random.randint(1, 3), random.randint(1, 4)
        parameter.num_output = outputs
        parameter.weight_filler.type = "uniform"
        exposed = states if maybe(random, 0.4) else 0
        parameter.expose_hidden = exposed > 0
        bottoms = [Bottom((steps, streams, *any_shape(random, 0 if maybe(random, 0.1) else 1, 3)))]
        continued = (steps, streams) if maybe(random, 0.93) else (steps, streams, 1)
        bottoms.append(Bottom(continued, indicators(0.7), gradient=False))
        if maybe(random):
            bottoms.append(Bottom((streams, *any_shape(random, 1, 2))))
        state = (1, streams, outputs) if maybe(random, 0.95) else (1, streams, outputs + 1)
        bottoms += [Bottom(state)] * exposed
        layer.top.extend(f"top{index}" for index in range(1 + exposed))
        return Specimen(bottoms, layer)

    return make


def lstm_unit(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="LSTMUnit", top=["c", "h"])
    number, width = shape(random, 2)
    gates = 4 * width if maybe(random, 0.9) else 3 * width
    continued = Bottom((1, number), indicators(0.7), gradient=False)
    return Specimen([Bottom((1, number, width)), Bottom((1, number, gates)), continued], layer)
