"""Losses and accuracy: from scores and labels to a single number."""

from batchbrew.nets.shapes.axes import canonical_axis, count, legacy_shape
from batchbrew.nets.shapes.registry import (
    NONE,
    ONE_OR_TWO,
    THREE,
    TWO,
    TWO_OR_THREE,
    Answer,
    Refusal,
    Shape,
    Site,
    by,
    layer_rule,
)  # fmt: skip

NUMBER: Shape = ()


def _same_batch(at: Site) -> None:
    scores, labels = at.bottoms[:2]
    if not scores or scores[:1] != labels[:1]:
        raise Refusal(
            f"bottoms {at.layer.bottom[0]}, {by(scores)}, and {at.layer.bottom[1]}, {by(labels)}, "
            "must have the same first axis"
        )
    if not count(scores):
        raise Refusal(f"bottom {at.layer.bottom[0]}, {by(scores)}, has no numbers")


def _label_each(at: Site, axis: int) -> None:
    """One label for each place where there are scores along `axis`."""
    scores, labels = at.bottoms[:2]
    places = count(scores, 0, axis) * count(scores, axis + 1)
    if places != count(labels):
        raise Refusal(
            f"has scores {by(scores)} for {places} places, but {count(labels)} labels in {at.layer.bottom[1]}"
        )


def _single_labels(at: Site) -> None:
    labels = at.bottoms[1]
    if legacy_shape(labels)[1:] != (1, 1, 1):
        raise Refusal(f"bottom {at.layer.bottom[1]} must be one label for each image, not {by(labels)}")


@layer_rule("SoftmaxWithLoss", bottoms=TWO, tops=ONE_OR_TWO, automatic_tops=True, loss=True)
def softmax_with_loss(at: Site) -> Answer:
    """Has a second top on paper, for the probabilities; Caffe 1.0 builds no such layer, whatever its loss_weight."""
    if at.tops == 2:
        raise Refusal("cannot be built with two tops: take the probabilities from a Softmax layer")
    _same_batch(at)
    _label_each(at, canonical_axis(at.bottoms[0], at.layer.softmax_param.axis))
    return Answer([NUMBER])


@layer_rule("InfogainLoss", bottoms=TWO_OR_THREE, tops=ONE_OR_TWO, automatic_tops=True, loss=True)
def infogain_loss(at: Site) -> Answer:
    """Weighted by a matrix of classes × classes: the third bottom, or a file, which is not looked into."""
    if at.layer.loss_param.HasField("normalize"):
        raise Refusal(
            "does not take loss_param { normalize: }, only normalization: write VALID or BATCH_SIZE"
        )
    _same_batch(at)
    canonical_axis(at.bottoms[0], at.layer.softmax_param.axis)
    axis = canonical_axis(at.bottoms[0], at.layer.infogain_loss_param.axis)
    _label_each(at, axis)
    classes = at.bottoms[0][axis]
    if len(at.bottoms) == 3:
        if count(at.bottoms[2]) != classes**2:
            raise Refusal(
                f"bottom {at.layer.bottom[2]} is {by(at.bottoms[2])}: for {classes} classes it must hold {classes**2}"
            )
    elif not at.layer.infogain_loss_param.HasField("source"):
        raise Refusal("needs a matrix: a third bottom, or a file as infogain_loss_param { source: }")
    return Answer([NUMBER, at.bottoms[0]][: at.tops])


@layer_rule("EuclideanLoss", bottoms=TWO, automatic_tops=True, loss=True)
def euclidean_loss(at: Site) -> Answer:
    """Bottoms of the same size for each image."""
    _same_batch(at)
    if count(at.bottoms[0], 1) != count(at.bottoms[1], 1):
        raise Refusal(f"bottoms must have the same size, not {by(at.bottoms[0])} and {by(at.bottoms[1])}")
    return Answer([NUMBER])


@layer_rule("SigmoidCrossEntropyLoss", bottoms=TWO, automatic_tops=True, loss=True)
def sigmoid_cross_entropy_loss(at: Site) -> Answer:
    """A target for each score."""
    _same_batch(at)
    if count(at.bottoms[0]) != count(at.bottoms[1]):
        raise Refusal(f"bottoms must have the same size, not {by(at.bottoms[0])} and {by(at.bottoms[1])}")
    return Answer([NUMBER])


@layer_rule("HingeLoss", bottoms=TWO, automatic_tops=True, loss=True)
def hinge_loss(at: Site) -> Answer:
    """One label for each image."""
    _same_batch(at)
    return Answer([NUMBER])


@layer_rule("MultinomialLogisticLoss", bottoms=TWO, automatic_tops=True, loss=True)
def multinomial_logistic_loss(at: Site) -> Answer:
    """Of probabilities."""
    _same_batch(at)
    _single_labels(at)
    return Answer([NUMBER])


@layer_rule("ContrastiveLoss", bottoms=THREE, automatic_tops=True, loss=True)
def contrastive_loss(at: Site) -> Answer:
    """Two vectors, N×C, and for each pair whether they are alike."""
    _same_batch(at)
    first, second, alike = map(legacy_shape, at.bottoms)
    if first[1] != second[1] or first[2:] != (1, 1) or second[2:] != (1, 1) or alike[1:] != (1, 1, 1):
        raise Refusal(f"takes N×C, N×C and N, not {', '.join(map(by, at.bottoms))}")
    return Answer([NUMBER])


@layer_rule("Accuracy", bottoms=TWO, tops=ONE_OR_TWO)
def accuracy(at: Site) -> Answer:
    """A second top has the accuracy of each class."""
    parameter, (scores, labels) = at.layer.accuracy_param, at.bottoms
    axis = canonical_axis(scores, parameter.axis)
    if not count(labels) or parameter.top_k > count(scores) // count(labels):
        raise Refusal(
            f"top_k {parameter.top_k} is more than there are scores for a label: {by(scores)} for {by(labels)}"
        )
    _label_each(at, axis)
    return Answer([NUMBER, (scores[axis],)][: at.tops])


@layer_rule("HDF5Output", bottoms=TWO, tops=NONE)
def hdf5_output(at: Site) -> Answer:
    """Writes a file."""
    return Answer([])
