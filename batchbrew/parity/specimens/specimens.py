"""Random layers of every type that needs no file, most of them valid; `specimens(seed, rounds)` makes networks."""

from collections.abc import Iterator
from random import Random

from batchbrew.parity.specimens.chance import Maker, Specimen, maybe
from batchbrew.parity.specimens.learned_specimens import (
    batch_norm,
    embed,
    inner_product,
    lstm_unit,
    parameter,
    prelu,
    recurrent,
    scale_or_bias,
)
from batchbrew.parity.specimens.loss_specimens import (
    accuracy,
    contrastive_loss,
    euclidean_loss,
    infogain_loss,
    label_loss,
    sigmoid_cross_entropy_loss,
    softmax_loss,
)
from batchbrew.parity.specimens.neuron_specimens import NEURONS, neuron
from batchbrew.parity.specimens.rearranging_specimens import (
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
from batchbrew.parity.specimens.source_specimens import dummy_data, input_, memory_data
from batchbrew.parity.specimens.window_specimens import convolution, lrn, pooling, spp
from batchbrew.proto import caffe_pb2 as pb

LAYER = "tested"  # the name of a specimen's layer
MAKERS: dict[str, Maker] = {
    **{kind: neuron(kind) for kind in NEURONS},
    **{kind: convolution(kind) for kind in ("Convolution", "Deconvolution", "Im2col")},
    **{kind: scale_or_bias(kind) for kind in ("Scale", "Bias")},
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
    "EuclideanLoss": euclidean_loss,
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
    "SigmoidCrossEntropyLoss": sigmoid_cross_entropy_loss,
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
    """Networks of an Input and one layer, with names like "Pooling 3": the type and the number of each."""
    for kind in MAKERS:
        for number in range(rounds * OFTEN.get(kind, 1)):
            _, net = specimen(kind, seed, number)
            yield f"{kind} {number}", net


def specimen(kind: str, seed: int, number: int) -> tuple[Specimen, pb.NetParameter]:
    """The layer of that type, seed and number, the same every time, and the network of it."""
    random = Random(f"{seed} {kind} {number}")
    made = MAKERS[kind](random)
    return made, network(random, made)


def network(random: Random, specimen: Specimen) -> pb.NetParameter:
    """Bottoms are named in0, in1, ...; the layer LAYER. Where a specimen may be in place, some are."""
    net = pb.NetParameter(name="specimen")
    bottoms, layer = specimen.bottoms, specimen.layer
    if bottoms:
        tops = [f"in{index}" for index in range(len(bottoms))]
        inputs = pb.InputParameter(shape=[pb.BlobShape(dim=bottom.shape) for bottom in bottoms])
        net.layer.add(name="input", type="Input", top=tops, input_param=inputs)
        layer.bottom.extend(tops)
    if not layer.top and layer.type != "Silence" and not layer.type.endswith("Loss"):
        layer.top.append("in0" if specimen.in_place and maybe(random) else "top0")
    layer.name = LAYER
    net.layer.append(layer)
    return net
