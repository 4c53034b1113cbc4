"""Losses, measures, and what the two phases and deployment make of one net."""

from collections import Counter
from collections.abc import Iterator

from batchbrew.lint.registry import Fault, NetCase, net_rule
from batchbrew.proto import caffe_pb2 as pb


@net_rule(
    "softmax-twice",
    "warning",
    "SoftmaxWithLoss behind a Softmax",
    why="It makes a softmax of probabilities: the loss stays near ln(classes), and gradients are tiny.",
)
def softmax_twice(case: NetCase) -> Iterator[Fault]:
    """SoftmaxWithLoss has a softmax of its own (softmax_loss_layer.cpp)."""
    for view in case.views:
        for number, layer in enumerate(view.layers):
            scores = next(iter(view.flow.bottoms[number]), None)
            if layer.type == "SoftmaxWithLoss" and scores is not None:
                maker = view.layers[scores.maker]
                if maker.type == "Softmax":
                    yield Fault(
                        layer, f"it reads {scores.blob}, the softmax of {maker.name}", _read_instead(maker)
                    )


def _read_instead(softmax: pb.LayerParameter) -> str:
    return f"read {softmax.bottom[0]}" if softmax.bottom else "read the scores"


@net_rule(
    "accuracy-in-train",
    "note",
    "Accuracy in training",
    why="It is computed in every pass and logged only at every display, for one batch.",
)
def accuracy_in_train(case: NetCase) -> Iterator[Fault]:
    """Said only where there is a TEST net too."""
    view = case.training
    if view is None or len(case.views) < 2:
        return
    for layer in view.layers:
        if layer.type == "Accuracy":
            yield Fault(layer, "it is there in TRAIN too", "write include { phase: TEST } into it")


@net_rule(
    "phases-share",
    "error",
    "layers of one name that differ between TRAIN and TEST",
    why="The test net takes the training net's weights by layer name, and Caffe ends where shapes differ.",
)
def phases_share(case: NetCase) -> Iterator[Fault]:
    """Real Caffe, at the first test: "Cannot share param 0 weights from layer 'fc'; shape mismatch"."""
    train = next((view for view in case.views if view.training), None)
    test = next((view for view in case.views if not view.training), None)
    if train is None or test is None:
        return
    times = Counter(layer.name for layer in train.layers)
    learned = {layer.name: layer for layer in train.layers if times[layer.name] == 1}
    for layer in test.layers:
        other = learned.get(layer.name)
        outputs = _num_output(layer)
        if other is not None and outputs != _num_output(other):
            yield Fault(
                layer,
                f"num_output is {outputs} in TEST, and {_num_output(other)} in TRAIN",
                "one num_output, best in one layer without include",
            )


def _num_output(layer: pb.LayerParameter) -> int:
    return layer.inner_product_param.num_output or layer.convolution_param.num_output


@net_rule(
    "deploy-softmax",
    "note",
    "a net for deployment that ends with scores, not probabilities",
    why="Scores rank classes as probabilities do, but they do not add up to 1.",
)
def deploy_softmax(case: NetCase) -> Iterator[Fault]:
    """A net that begins with an Input layer and has neither loss nor data layer."""
    view = case.views[0]
    if view.has_loss or view.image_layers or not any(layer.type == "Input" for layer in view.layers):
        return
    last = view.layers[-1]
    if last.type == "InnerProduct":
        yield Fault(
            last, f"{last.top[0] if last.top else last.name} is the output", "end with a Softmax layer"
        )
