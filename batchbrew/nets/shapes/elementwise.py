"""Layers whose top is like their bottom: neurons, normalisation without parameters, sums of blobs, copies."""

from math import inf

from batchbrew.nets.shapes.axes import canonical_axis, legacy_shape, require_four_axes
from batchbrew.nets.shapes.registry import NONE, SOME, TWO_OR_MORE, Answer, Refusal, Site, by, layer_rule
from batchbrew.proto import caffe_pb2 as pb


@layer_rule("BNLL", "Clip", "Dropout", "ELU", "Power", "ReLU")
@layer_rule("Sigmoid", "Swish", "TanH", "Threshold")
@layer_rule("AbsVal", in_place=False)
def neuron(at: Site) -> Answer:
    """A function of each number by itself."""
    return Answer([at.bottoms[0]])


@layer_rule("Exp")
def exponential(at: Site) -> Answer:
    """Powers of `base`, -1 for e."""
    return _to_base(at, at.layer.exp_param.base)


@layer_rule("Log")
def logarithm(at: Site) -> Answer:
    """Logarithms to `base`, -1 for e: to 1 there are none."""
    if at.layer.log_param.base == 1:
        raise Refusal("base must not be 1")
    return _to_base(at, at.layer.log_param.base)


def _to_base(at: Site, base: float) -> Answer:
    if base != -1 and not 0 < base < inf:
        raise Refusal(f"base must be above 0, or -1 for e, not {base:g}")
    return Answer([at.bottoms[0]])


@layer_rule("Softmax")
def softmax(at: Site) -> Answer:
    """Exponentials, divided by their sum along an axis."""
    canonical_axis(at.bottoms[0], at.layer.softmax_param.axis)
    return Answer([at.bottoms[0]])


@layer_rule("MVN")
def mean_variance_normalisation(at: Site) -> Answer:
    """Its top always has four axes."""
    return Answer([legacy_shape(at.bottoms[0])])


@layer_rule("LRN")
def local_response_normalisation(at: Site) -> Answer:
    """Divides by what its neighbours are; not counted in multiply-adds."""
    if at.layer.lrn_param.local_size % 2 == 0:
        raise Refusal(f"local_size must be odd, not {at.layer.lrn_param.local_size}")
    return Answer([require_four_axes(at.bottoms[0])])


@layer_rule("Eltwise", bottoms=TWO_OR_MORE)
def eltwise(at: Site) -> Answer:
    """A sum, product or maximum of blobs that are all alike."""
    parameter = at.layer.eltwise_param
    if parameter.coeff and len(parameter.coeff) != len(at.bottoms):
        raise Refusal(f"has {len(parameter.coeff)} coeff for {len(at.bottoms)} bottoms: give one for each")
    if parameter.coeff and parameter.operation == pb.EltwiseParameter.PROD:
        raise Refusal("takes no coeff with operation: PROD")
    for index, shape in enumerate(at.bottoms):
        if shape != at.bottoms[0]:
            raise Refusal(
                f"bottom {at.layer.bottom[index]} is {by(shape)}, but {at.layer.bottom[0]} is {by(at.bottoms[0])}: "
                "they must be alike"
            )
    return Answer([at.bottoms[0]])


@layer_rule("Split", tops=SOME, in_place=False)
def split(at: Site) -> Answer:
    """The bottom under several names; Caffe itself puts one where several layers read a blob."""
    return Answer([at.bottoms[0]] * at.tops, shares_data=True)


@layer_rule("Silence", bottoms=SOME, tops=NONE)
def silence(at: Site) -> Answer:
    """Takes blobs that nobody wants."""
    return Answer([])
