"""Random layers of every type that needs no file, most of them valid; `specimens(seed, count)` makes networks."""

from collections.abc import Iterator
from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.proto import caffe_pb2 as pb
from tests.nets.shapes.chance import Maker, maybe
from tests.nets.shapes.end_specimens import (
    accuracy,
    contrastive_loss,
    dummy_data,
    infogain_loss,
    input_,
    label_loss,
    memory_data,
    pair_loss,
    softmax_loss,
)
from tests.nets.shapes.learned_specimens import (
    batch_norm,
    embed,
    inner_product,
    lstm_unit,
    neuron,
    parameter,
    prelu,
    recurrent,
    scale_or_bias,
)
from tests.nets.shapes.rearranging_specimens import (
    arg_max,
    batch_reindex,
    concat,
    crop,
    eltwise,
    filter_,
    flatten,
    mvn,
    reduction,
    reshape,
    silence,
    slice_,
    softmax,
    split,
    tile,
)
from tests.nets.shapes.window_specimens import convolution, lrn, pooling, spp

NEURONS = ("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "Log", "Power", "ReLU", "Sigmoid", "Swish", "TanH",
           "Threshold")  # fmt: skip
MAKERS: dict[str, Maker] = {
    **{kind: neuron(kind) for kind in NEURONS},
    **{kind: convolution(kind) for kind in ("Convolution", "Deconvolution", "Im2col")},
    **{kind: scale_or_bias(kind) for kind in ("Scale", "Bias")},
    **{kind: pair_loss(kind) for kind in ("EuclideanLoss", "SigmoidCrossEntropyLoss")},
    **{kind: label_loss(kind) for kind in ("HingeLoss", "MultinomialLogisticLoss")},
    **{kind: recurrent(kind) for kind in ("LSTM", "RNN")},
    "Accuracy": accuracy,
    "ArgMax": arg_max,
    "BatchNorm": batch_norm,
    "BatchReindex": batch_reindex,
    "Concat": concat,
    "ContrastiveLoss": contrastive_loss,
    "Crop": crop,
    "DummyData": dummy_data,
    "Eltwise": eltwise,
    "Embed": embed,
    "Filter": filter_,
    "Flatten": flatten,
    "InfogainLoss": infogain_loss,
    "InnerProduct": inner_product,
    "Input": input_,
    "LRN": lrn,
    "LSTMUnit": lstm_unit,
    "MVN": mvn,
    "MemoryData": memory_data,
    "PReLU": prelu,
    "Parameter": parameter,
    "Pooling": pooling,
    "Reduction": reduction,
    "Reshape": reshape,
    "SPP": spp,
    "Silence": silence,
    "Slice": slice_,
    "Softmax": softmax,
    "SoftmaxWithLoss": softmax_loss,
    "Split": split,
    "Tile": tile,
}
# Those with more to get wrong are made more often.
OFTEN = {"Convolution": 5, "Deconvolution": 4, "Im2col": 3, "Pooling": 6, "Reshape": 5, "Crop": 2, "Slice": 2}


def specimens(seed: int, rounds: int) -> Iterator[tuple[str, pb.NetParameter]]:
    """Networks of an Input and one layer; by their number each can be made again."""
    for number in range(rounds):
        for kind, make in MAKERS.items():
            for again in range(OFTEN.get(kind, 1)):
                random = Random(f"{seed} {kind} {number} {again}")
                yield f"{kind} {number}.{again}", network(random, *make(random))


def network(random: Random, bottoms: list[Shape], layer: pb.LayerParameter) -> pb.NetParameter:
    net = pb.NetParameter(name="specimen")
    if bottoms:
        tops = [f"in{index}" for index in range(len(bottoms))]
        inputs = pb.InputParameter(shape=[pb.BlobShape(dim=bottom) for bottom in bottoms])
        net.layer.add(name="input", type="Input", top=tops, input_param=inputs)
        layer.bottom.extend(tops)
    if not layer.top and layer.type != "Silence" and not layer.type.endswith("Loss"):
        layer.top.append("in0" if bottoms and layer.type in NEURONS and maybe(random) else "top0")
    layer.name = "layer"
    net.layer.append(layer)
    return net
