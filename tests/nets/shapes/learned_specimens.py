"""Random neurons and layers with parameters."""

from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.proto import caffe_pb2 as pb
from tests.nets.shapes.chance import Maker, Specimen, any_shape, axis, maybe, shape


def neuron(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        if kind == "Clip":
            layer.clip_param.min, layer.clip_param.max = 0, 1
        return [any_shape(random)], layer

    return make


def inner_product(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="InnerProduct")
    bottom = any_shape(random)
    parameter = layer.inner_product_param
    parameter.num_output = random.randint(1, 5)
    parameter.bias_term = maybe(random, 0.6)
    parameter.transpose = maybe(random)
    if len(bottom) == 1 or maybe(random, 0.5):
        parameter.axis = axis(random, len(bottom))
    return [bottom], layer


def embed(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Embed")
    layer.embed_param.num_output, layer.embed_param.input_dim = random.randint(1, 5), random.randint(1, 9)
    layer.embed_param.bias_term = maybe(random, 0.6)
    return [any_shape(random, 1, 3)], layer


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
            return [bottom, factors], layer
        parameter.num_axes = random.choice([-1, 0, 1, 1, 2])
        return [bottom], layer

    return make


def batch_norm(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="BatchNorm")
    for _ in range(random.choice([0, 0, 1, 3, 3])):
        layer.param.add(lr_mult=random.choice([0, 0, 1]))
    return [any_shape(random, 2, 5)], layer


def prelu(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="PReLU")
    layer.prelu_param.channel_shared = maybe(random)
    return [any_shape(random, 1 if maybe(random, 0.1) else 2, 5)], layer


def parameter(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Parameter")
    layer.parameter_param.shape.dim.extend(any_shape(random))
    return [], layer


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
        bottoms: list[Shape] = [(steps, streams, *any_shape(random, 0 if maybe(random, 0.1) else 1, 3))]
        bottoms.append((steps, streams) if maybe(random, 0.93) else (steps, streams, 1))
        if maybe(random):
            bottoms.append((streams, *any_shape(random, 1, 2)))
        bottoms += [(1, streams, outputs) if maybe(random, 0.95) else (1, streams, outputs + 1)] * exposed
        layer.top.extend(f"top{index}" for index in range(1 + exposed))
        return bottoms, layer

    return make


def lstm_unit(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="LSTMUnit", top=["c", "h"])
    number, width = shape(random, 2)
    gates = 4 * width if maybe(random, 0.9) else 3 * width
    return [(1, number, width), (1, number, gates), (1, number)], layer
