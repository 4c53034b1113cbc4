"""What each layer type's backward pass reads of its bottoms' and tops' data, and what it does in place.

Measured in real Caffe 1.0 (CPU), type by type, by changing a blob's data between forward and backward pass and
looking at the gradients, and by comparing each layer in place with itself out of place;
tests/lint/test_backward_reads.py does it again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from batchbrew.proto import caffe_pb2 as pb

InPlace = Literal["safe", "keep", "keep_sign", "wrong_gradient", "wrong_output", "refused"]
"""What becomes of a layer that works in place:

safe: it has what it needs: nothing, or a copy (Scale, PReLU, BatchNorm, Dropout's mask);
keep: its gradient is right as long as nobody changes its result;
keep_sign: as long as each value stays positive or not (ReLU);
wrong_gradient: it reads a bottom that it has itself written over;
wrong_output: what it computes is wrong already, or its shape does not fit;
refused: Caffe ends.
"""


@dataclass(frozen=True)
class Reads:
    """Numbers of the bottoms and tops whose data the backward pass reads when the layer works out of place."""

    bottoms: tuple[int, ...] = ()
    tops: tuple[int, ...] = ()
    in_place: InPlace = "wrong_output"


def backward_reads(layer: pb.LayerParameter) -> Reads | None:
    """None for a type that is not known here."""
    row = _TABLE.get(layer.type)
    return row(layer) if callable(row) else row


def _if_it_learns(layer: pb.LayerParameter) -> Reads:
    """The input is for the gradient of the weights alone."""
    return Reads((0,) if learns(layer) else ())


def learns(layer: pb.LayerParameter, blob: int = 0) -> bool:
    """Has the layer's parameter blob of that number, if it has one, a learning rate?"""
    return blob >= len(layer.param) or layer.param[blob].lr_mult != 0


def _scale(layer: pb.LayerParameter) -> Reads:
    if len(layer.bottom) > 1:
        return Reads((0, 1), in_place="safe")
    return Reads((0,) if learns(layer) else (), in_place="safe")


def _eltwise(layer: pb.LayerParameter) -> Reads:
    parameter = layer.eltwise_param
    if parameter.operation != pb.EltwiseParameter.PROD:
        return Reads()  # MAX remembers which bottom it took
    all_bottoms = tuple(range(len(layer.bottom)))
    return Reads(all_bottoms, () if parameter.stable_prod_grad else (0,), "wrong_gradient")


def _lrn(layer: pb.LayerParameter) -> Reads:
    if layer.lrn_param.norm_region == pb.LRNParameter.WITHIN_CHANNEL:
        return Reads((0,), in_place="wrong_gradient")
    return Reads((0,), (0,))


def _mvn(layer: pb.LayerParameter) -> Reads:
    if layer.mvn_param.normalize_variance:
        return Reads(tops=(0,), in_place="wrong_gradient")
    return Reads(in_place="safe")


def _pooling(layer: pb.LayerParameter) -> Reads:
    return Reads(
        tops=(1,) if len(layer.top) > 1 else ()
    )  # where each maximum was: a mask of its own, or top 1


def _power(layer: pb.LayerParameter) -> Reads:
    """In place even a power of 1 is wrong: power_layer.cpp sets bottom's gradient before it reads top's."""
    parameter = layer.power_param
    if parameter.power * parameter.scale == 0:
        return Reads(in_place="safe")
    if parameter.power == 1:
        return Reads(in_place="wrong_gradient")
    return Reads((0,), () if parameter.power == 2 else (0,), "wrong_gradient")


def _relu(layer: pb.LayerParameter) -> Reads:
    return Reads((0,), in_place="wrong_gradient" if layer.relu_param.negative_slope < 0 else "keep_sign")


def _recurrent(layer: pb.LayerParameter) -> Reads:
    """Caffe unrolls it into a net, whose blobs are its own but for the sequence, a static input, and with expose_hidden
    the cell before the first step and the last state behind the last. (An RNN of one step reads its top, too; how many
    steps there are is not known here.)
    """
    exposed = (2 if layer.type == "LSTM" else 1) if layer.recurrent_param.expose_hidden else 0
    last = len(layer.bottom) - 1
    static = (2,) if last - exposed > 1 else ()
    cell = (last,) if exposed == 2 else ()
    return Reads((0, *static, *cell), (exposed,) if exposed else (), "wrong_gradient")


def _reduction(layer: pb.LayerParameter) -> Reads:
    linear = (pb.ReductionParameter.SUM, pb.ReductionParameter.MEAN)
    return Reads(() if layer.reduction_param.operation in linear else (0,))


_NOTHING = Reads()
_TABLE: dict[str, Reads | Callable[[pb.LayerParameter], Reads]] = {
    "AbsVal": Reads((0,), in_place="refused"),
    "BNLL": Reads((0,), in_place="wrong_gradient"),
    "BatchNorm": Reads(in_place="safe"),
    "Bias": Reads(in_place="safe"),
    "Clip": Reads((0,), in_place="wrong_gradient"),
    "Concat": _NOTHING,
    "ContrastiveLoss": Reads((2,)),
    "Convolution": _if_it_learns,
    "Crop": _NOTHING,
    "Deconvolution": _if_it_learns,
    "Dropout": Reads(in_place="safe"),
    "ELU": Reads((0,), (0,), "keep"),
    "Eltwise": _eltwise,
    "EuclideanLoss": _NOTHING,
    "Exp": Reads(tops=(0,), in_place="keep"),
    "Flatten": Reads(in_place="refused"),
    "Im2col": _NOTHING,
    "InnerProduct": _if_it_learns,
    "LRN": _lrn,
    "LSTM": _recurrent,
    "Log": Reads((0,), in_place="wrong_gradient"),
    "MVN": _mvn,
    "MultinomialLogisticLoss": Reads((0, 1)),
    "PReLU": Reads((0,), in_place="safe"),
    "Pooling": _pooling,
    "Power": _power,
    "RNN": _recurrent,
    "ReLU": _relu,
    "Reduction": _reduction,
    "Reshape": Reads(in_place="refused"),
    "SPP": _NOTHING,
    "Scale": _scale,
    "Sigmoid": Reads(tops=(0,), in_place="keep"),
    "SigmoidCrossEntropyLoss": Reads((1,)),
    "Slice": _NOTHING,
    "Softmax": Reads(tops=(0,), in_place="keep"),
    "SoftmaxWithLoss": Reads((1,)),  # with two tops Caffe 1.0 does not build it
    "Split": _NOTHING,
    "Swish": Reads(tops=(0,), in_place="keep"),
    "TanH": Reads(tops=(0,), in_place="keep"),
    "Tile": _NOTHING,
}
KNOWN_TYPES = tuple(_TABLE)
