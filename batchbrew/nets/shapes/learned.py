"""Layers with parameters that are no windows: inner products, look-up tables, scales, BatchNorm."""

from batchbrew.nets.shapes.axes import canonical_axis, count
from batchbrew.nets.shapes.registry import NONE, ONE_OR_TWO, Answer, Refusal, Shape, Site, by, layer_rule


@layer_rule("InnerProduct")
def inner_product(at: Site) -> Answer:
    """Every output from all inputs behind `axis`."""
    parameter, shape = at.layer.inner_product_param, at.bottoms[0]
    axis = canonical_axis(shape, parameter.axis)
    outputs, inputs = parameter.num_output, count(shape, axis)
    if outputs < 1:
        raise Refusal("num_output must be given, 1 or more")
    weights = (inputs, outputs) if parameter.transpose else (outputs, inputs)
    return Answer(
        [(*shape[:axis], outputs)],
        [weights, (outputs,)] if parameter.bias_term else [weights],
        multiply_adds=count(shape, 0, axis) * inputs * outputs,
    )


@layer_rule("Embed")
def embed(at: Site) -> Answer:
    """A row of the weights for each number; nothing is multiplied."""
    parameter = at.layer.embed_param
    if parameter.num_output < 1 or parameter.input_dim < 1:
        raise Refusal("needs num_output and input_dim, 1 or more each")
    weights = [(parameter.input_dim, parameter.num_output), (parameter.num_output,)]
    return Answer([(*at.bottoms[0], parameter.num_output)], weights if parameter.bias_term else weights[:1])


@layer_rule("Scale", bottoms=ONE_OR_TWO)
def scale(at: Site) -> Answer:
    """Factors, learned or from the second bottom, and if asked for a learned shift."""
    parameter = at.layer.scale_param
    factors = _span(at, parameter.axis, parameter.num_axes)
    learned = [factors] if len(at.bottoms) == 1 else []
    return Answer([at.bottoms[0]], [*learned, factors] if parameter.bias_term else learned)


@layer_rule("Bias", bottoms=ONE_OR_TWO)
def bias(at: Site) -> Answer:
    """A shift, learned or from the second bottom."""
    parameter = at.layer.bias_param
    shifts = _span(at, parameter.axis, parameter.num_axes)
    return Answer([at.bottoms[0]], [shifts] if len(at.bottoms) == 1 else [])


def _span(at: Site, axis: int, axes: int) -> Shape:
    """The shape of the factors: that of the first bottom's axes from `axis` on, `axes` of them or, at -1, all."""
    shape = at.bottoms[0]
    if len(at.bottoms) == 2:
        given = at.bottoms[1]
        start = canonical_axis(shape, axis) if given else 0
        if shape[start : start + len(given)] != given:
            raise Refusal(
                f"bottom {at.layer.bottom[1]}, {by(given)}, does not fit {at.layer.bottom[0]}, {by(shape)}, "
                f"from axis {start} on"
            )
        return given
    if axes < -1:
        raise Refusal(f"num_axes must be -1 or more, not {axes}")
    start = canonical_axis(shape, axis)
    if axes == -1:
        return shape[start:]
    if start + axes > len(shape):
        raise Refusal(f"axis {axis} and num_axes {axes} reach beyond its bottom, {by(shape)}")
    return shape[start : start + axes]


@layer_rule("BatchNorm")
def batch_norm(at: Site) -> Answer:
    """Means, variances and their factor: statistics, which a solver must leave alone.

    NVIDIA Caffe's may have a Scale's factor and bias too (its fields say which).
    """
    parameter, shape = at.layer.batch_norm_param, at.bottoms[0]
    if len(shape) < 2:
        raise Refusal(f"takes a blob with an axis of channels (N×C...), not {by(shape)}")
    # With all three given, Caffe sets the rates to zero itself (upgrade_proto.cpp).
    if len(at.layer.param) < 3 and any(param.lr_mult for param in at.layer.param):
        raise Refusal("collects statistics, which cannot be learned: write param { lr_mult: 0 } three times")
    statistics: list[Shape] = [(shape[1],), (shape[1],), (1,)]
    scales = parameter.scale_bias or parameter.HasField("scale_filler") or parameter.HasField("bias_filler")
    return Answer([shape], [*statistics, *[(shape[1],)] * 2] if scales else statistics, statistics=3)


@layer_rule("PReLU")
def prelu(at: Site) -> Answer:
    """A ReLU with a learned slope, one for each channel or one for all."""
    shape = at.bottoms[0]
    if not 2 <= len(shape) <= 4:
        raise Refusal(f"takes a blob of two to four axes (N×C...), not {by(shape)}")
    return Answer([shape], [() if at.layer.prelu_param.channel_shared else (shape[1],)])


@layer_rule("Parameter", bottoms=NONE)
def parameter(at: Site) -> Answer:
    """A parameter as a blob."""
    shape = tuple(at.layer.parameter_param.shape.dim)
    return Answer([shape], [shape], shares_data=True)
