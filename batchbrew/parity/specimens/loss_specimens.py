"""Random losses, and the accuracy."""

from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.parity.specimens.chance import Bottom, Maker, Specimen, any_shape, maybe, shape
from batchbrew.parity.specimens.values import (
    Values,
    between,
    distinct,
    indicators,
    integers,
    normal,
    probabilities,
    usual,
    with_ties,
)
from batchbrew.proto import caffe_pb2 as pb


def ignored_label(random: Random, classes: int) -> int | None:
    return random.choice([-1, 255, random.randrange(classes)]) if maybe(random, 0.5) else None


def normalisation(random: Random, parameter: pb.LossParameter) -> None:
    if maybe(random, 0.5):
        parameter.normalization = random.choice(pb.LossParameter.NormalizationMode.values())
    if maybe(random, 0.2):
        parameter.normalize = maybe(random, 0.5)


def scores_and_labels(
    random: Random, along: int, axes: int, ignored: int | None, values: Values = usual
) -> list[Bottom]:
    """Scores of at least one class, with a label at each place; `ignored` is either one of them or beside them."""
    scores = shape(random, axes)
    labels = list(scores)
    del labels[along % axes]
    if maybe(random, 0.3):
        labels.insert(along % axes, 1)
    if maybe(random, 0.08):
        labels.append(2)
    right = integers(scores[along % axes], also=ignored)
    return [Bottom(scores, values), Bottom(tuple(labels), right, gradient=False)]


def softmax_loss(random: Random) -> Specimen:
    top = random.choice([[], ["l"], ["l"], ["l"], ["l", "p"]]) if maybe(random, 0.3) else ["l"]
    layer = pb.LayerParameter(type="SoftmaxWithLoss", top=top)
    axes = random.randint(2, 4)
    along = random.choice([1, 1, -1])
    layer.softmax_param.axis = along
    if len(layer.top) == 2 and maybe(random, 0.8):
        layer.loss_weight.extend([1, 0])
    ignored = random.choice([None, None, -1, 0, 255])
    if ignored is not None:
        layer.loss_param.ignore_label = ignored
    normalisation(random, layer.loss_param)
    values = random.choice([usual, usual, normal(0, 10)])
    return Specimen(scores_and_labels(random, along, axes, ignored, values), layer)


def infogain_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="InfogainLoss", top=["l"])
    axes = random.randint(2, 4)
    along = random.choice([1, 1, -1])
    if along != 1:
        layer.infogain_loss_param.axis = layer.softmax_param.axis = along
    ignored = random.choice([None, None, -1, 0])
    if ignored is not None:
        layer.loss_param.ignore_label = ignored
    normalisation(random, layer.loss_param)
    bottoms = scores_and_labels(random, along, axes, ignored)
    classes = bottoms[0].shape[along]
    if maybe(random, 0.95):
        matrix = (1, 1, classes, classes if maybe(random, 0.95) else classes + 1)
        bottoms.append(Bottom(matrix, between(0.1, 2), gradient=False))
    return Specimen(bottoms, layer)


def accuracy(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Accuracy", top=["a", "each"][: random.randint(1, 2)])
    axes = random.randint(2, 4)
    along = random.choice([1, 1, -1])
    layer.accuracy_param.axis = along
    layer.accuracy_param.top_k = random.choice([1, 1, 2, 3, 5])
    ignored = random.choice([None, None, -1, 0, 255])
    if ignored is not None:
        layer.accuracy_param.ignore_label = ignored
    values = random.choice([usual, distinct, with_ties])
    scores, labels = scores_and_labels(random, along, axes, ignored, values)
    return Specimen([Bottom(scores.shape, scores.values, gradient=False), labels], layer)


def euclidean_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="EuclideanLoss", top=["l"] if maybe(random, 0.8) else [])
    first, second = _two_shapes(random)
    return Specimen([Bottom(first), Bottom(second)], layer)


def sigmoid_cross_entropy_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="SigmoidCrossEntropyLoss", top=["l"] if maybe(random, 0.8) else [])
    first, second = _two_shapes(random)
    targets = random.choice([indicators(), between(0, 1)])
    if maybe(random, 0.4):
        layer.loss_param.ignore_label = random.choice([-1, 255])
        targets = integers(2, also=layer.loss_param.ignore_label)
    normalisation(random, layer.loss_param)
    scores = random.choice([usual, normal(0, 8)])
    return Specimen([Bottom(first, scores), Bottom(second, targets, gradient=False)], layer)


def _two_shapes(random: Random) -> tuple[Shape, Shape]:
    """Alike, or mostly: sometimes only of one size, sometimes not even that."""
    first = any_shape(random, 1, 5 if maybe(random, 0.1) else 4)
    second = first if maybe(random, 0.7) else (first[0], *any_shape(random, 0, 3))
    if maybe(random, 0.08):
        second = (first[0] + 1, *second[1:])
    return first, second


def label_loss(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind, top=["l"])
        first = any_shape(random, 1, 5 if maybe(random, 0.05) else 4)
        classes = 1
        for length in first[1:]:
            classes *= length
        values: Values = usual
        if kind == "MultinomialLogisticLoss":
            values = between(0.05, 1) if len(first) == 1 else probabilities(1)
        elif maybe(random, 0.6):
            layer.hinge_loss_param.norm = random.choice(pb.HingeLossParameter.Norm.values())
        labels = (first[0], *random.choice([(), (), (1,), (1, 1, 1), (2,)]))
        return Specimen([Bottom(first, values), Bottom(labels, integers(classes), gradient=False)], layer)

    return make


def contrastive_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="ContrastiveLoss", top=["l"])
    parameter = layer.contrastive_loss_param
    if maybe(random, 0.7):
        parameter.margin = random.choice([0.5, 2, 5])
    if maybe(random, 0.5):
        parameter.legacy_version = maybe(random, 0.7)
    number, width = shape(random, 2)
    ones = random.choice([(), (1, 1), (1, 1), (1, 1), (2, 1)])
    pair = Bottom((number, width, *ones))
    alike = Bottom((number, *random.choice([(), (1,), (1, 1, 1), (2,)])), indicators(0.4), gradient=False)
    return Specimen([pair, pair, alike], layer)
