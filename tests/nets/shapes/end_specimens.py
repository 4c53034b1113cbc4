"""Random layers at the two ends of a network: inputs, losses, accuracy."""

from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.proto import caffe_pb2 as pb
from tests.nets.shapes.chance import Maker, Specimen, any_shape, maybe, shape


def scores_and_labels(random: Random, along: int, axes: int) -> list[Shape]:
    scores = shape(random, axes)
    labels = list(scores)
    del labels[along % axes]
    if maybe(random, 0.3):
        labels.insert(along % axes, 1)
    if maybe(random, 0.08):
        labels.append(2)
    return [scores, tuple(labels)]


def softmax_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="SoftmaxWithLoss", top=random.choice([[], ["l"], ["l"], ["l", "p"]]))
    axes = random.randint(2, 4)
    along = random.choice([1, 1, -1])
    layer.softmax_param.axis = along
    if len(layer.top) == 2 and maybe(random, 0.8):
        layer.loss_weight.extend([1, 0])
    return scores_and_labels(random, along, axes), layer


def infogain_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="InfogainLoss", top=["l"])
    bottoms = scores_and_labels(random, 1, random.randint(2, 4))
    classes = bottoms[0][1]
    if maybe(random, 0.9):
        bottoms.append((1, 1, classes, classes if maybe(random, 0.9) else classes + 1))
    return bottoms, layer


def accuracy(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Accuracy", top=["a", "each"][: random.randint(1, 2)])
    axes = random.randint(2, 4)
    along = random.choice([1, 1, -1])
    layer.accuracy_param.axis = along
    layer.accuracy_param.top_k = random.choice([1, 1, 2, 5])
    return scores_and_labels(random, along, axes), layer


def pair_loss(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind, top=["l"] if maybe(random, 0.8) else [])
        first = any_shape(random)
        second = first if maybe(random, 0.6) else (first[0], *any_shape(random, 0, 3))
        if maybe(random, 0.08):
            second = (first[0] + 1, *second[1:])
        return [first, second], layer

    return make


def label_loss(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind, top=["l"])
        first = any_shape(random)
        return [first, (first[0], *random.choice([(), (), (1,), (1, 1, 1), (2,)]))], layer

    return make


def contrastive_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="ContrastiveLoss", top=["l"])
    number, width = shape(random, 2)
    ones = random.choice([(), (1, 1), (1, 1), (2, 1)])
    return [(number, width, *ones), (number, width, *ones), (number, *random.choice([(), (1,), (2,)]))], layer


def dummy_data(random: Random) -> Specimen:
    tops = random.randint(1, 3)
    layer = pb.LayerParameter(type="DummyData", top=[f"top{index}" for index in range(tops)])
    parameter = layer.dummy_data_param
    many = random.choice([1, tops, tops, 2])
    if maybe(random, 0.5):
        parameter.shape.extend(pb.BlobShape(dim=any_shape(random)) for _ in range(many))
    else:
        for field in (parameter.num, parameter.channels, parameter.height, parameter.width):
            field.extend(shape(random, many))
    for _ in range(random.choice([0, 1, tops])):
        parameter.data_filler.add()
    return [], layer


def memory_data(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="MemoryData", top=["d", "l"])
    parameter = layer.memory_data_param
    parameter.batch_size, parameter.channels, parameter.height, parameter.width = shape(random, 4)
    if maybe(random, 0.1):
        parameter.height = 0
    return [], layer


def input_(random: Random) -> Specimen:
    tops = random.randint(1, 3)
    layer = pb.LayerParameter(type="Input", top=[f"top{index}" for index in range(tops)])
    layer.input_param.shape.extend(
        pb.BlobShape(dim=any_shape(random)) for _ in range(random.choice([1, tops, 2]))
    )
    return [], layer
