"""The classifier against the labels of the data."""

from collections.abc import Iterator
from typing import NamedTuple

from batchbrew.lint.blob_flow import Content
from batchbrew.lint.image_contents import Contents, source_of
from batchbrew.lint.registry import Fault, NetCase, net_rule
from batchbrew.lint.views import IMAGE_SOURCES, View
from batchbrew.proto import caffe_pb2 as pb

# Layers that leave the number of channels as it is.
SAME_CHANNELS = (
    "AbsVal", "BNLL", "BatchNorm", "Bias", "Clip", "Dropout", "ELU", "LRN", "MVN", "PReLU", "Pooling", "Power",
    "ReLU", "Scale", "Sigmoid", "Softmax", "Split", "Swish", "TanH",
)  # fmt: skip
SHOWN_LABELS = 3


class Judgement(NamedTuple):
    """A layer that compares scores with labels: its number, who makes the scores and labels, how many scores."""

    layer: int
    classifier: int
    source: int
    classes: int


def judgements(view: View) -> Iterator[Judgement]:
    """The losses and accuracies whose classifier and image layer can be told."""
    for number, layer in enumerate(view.layers):
        if layer.type not in ("SoftmaxWithLoss", "Accuracy", "HingeLoss", "MultinomialLogisticLoss"):
            continue
        if layer.softmax_param.axis != 1 or layer.accuracy_param.axis != 1 or len(layer.bottom) < 2:
            continue
        scores, labels = view.flow.bottoms[number][:2]
        source = labels.maker if labels is not None else number
        classifier = _classifier(view, scores)
        if classifier is not None and view.layers[source].type in IMAGE_SOURCES:
            yield Judgement(number, classifier, source, _outputs(view.layers[classifier]) or 0)


def _classifier(view: View, content: Content | None) -> int | None:
    """The layer whose num_output is the number of the content's channels."""
    while content is not None:
        layer = view.layers[content.maker]
        if _outputs(layer):
            return content.maker
        if layer.type not in SAME_CHANNELS or not view.flow.bottoms[content.maker]:
            return None
        content = view.flow.bottoms[content.maker][0]
    return None


def _outputs(layer: pb.LayerParameter) -> int | None:
    if layer.type == "InnerProduct" and layer.inner_product_param.axis == 1:
        return layer.inner_product_param.num_output
    if layer.type == "Convolution" and layer.convolution_param.axis == 1:
        return layer.convolution_param.num_output
    return None


@net_rule(
    "labels",
    "error",
    "labels in the data that the classifier has no output for",
    why="Caffe does not look: it reads past the end of the scores, and the loss is garbage, or the process dies.",
)
def labels_out_of_range(case: NetCase) -> Iterator[Fault]:
    """Real Caffe (a release build has no DCHECK): of 3 classes label 7 gives a loss, label 10,000,000 a SIGSEGV."""
    for view in case.views:
        for judgement in judgements(view):
            source = view.layers[judgement.source]
            contents = case.sources.contents(source)
            if contents is None:
                continue
            wrong = _out_of_range(view.layers[judgement.layer], judgement.classes, contents)
            if wrong:
                largest = max(contents.labels)
                yield Fault(
                    view.layers[judgement.classifier],
                    f"num_output is {judgement.classes}, so labels go from 0 to {judgement.classes - 1}, but "
                    f"{source_of(source)} has {_listed(wrong)}{contents.looked_at}",
                    f"num_output: {largest + 1}" if largest >= judgement.classes else "labels from 0 on",
                )


def _out_of_range(layer: pb.LayerParameter, classes: int, contents: Contents) -> list[int]:
    ignored = [
        parameter.ignore_label
        for parameter in (layer.loss_param, layer.accuracy_param)
        if parameter.HasField("ignore_label")
    ]
    return sorted(label for label in contents.labels if not 0 <= label < classes and label not in ignored)


def _listed(labels: list[int]) -> str:
    shown = ", ".join(map(str, labels[:SHOWN_LABELS]))
    return f"label {shown}" if len(labels) <= SHOWN_LABELS else f"labels {shown}, ... {labels[-1]}"


@net_rule(
    "spare-outputs",
    "note",
    "a classifier with more outputs than there are labels",
    why="The outputs without a label learn only that they are never right: often num_output of another data set.",
)
def spare_outputs(case: NetCase) -> Iterator[Fault]:
    """Said only where all labels of the training data are known."""
    view = case.training
    for judgement in judgements(view) if view is not None else []:
        assert view is not None
        source = view.layers[judgement.source]
        contents = case.sources.contents(source)
        if contents is None or contents.seen < contents.images or not contents.labels:
            continue
        largest = max(contents.labels)
        if 0 <= largest < judgement.classes - 1:
            yield Fault(
                view.layers[judgement.classifier],
                f"num_output is {judgement.classes}, and the largest label of {source_of(source)} is {largest}",
                f"num_output: {largest + 1}, if there are no more classes",
            )
