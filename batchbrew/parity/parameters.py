"""Values of parameters that keep a net's numbers in a sane range, by the type of their layer."""

from collections.abc import Callable
from math import prod

import numpy as np

from batchbrew.nets.shapes import LayerShapes, NetworkShapes, Shape
from batchbrew.parity.specimens.values import Array, between, constant, normal, usual

# (generator, number of the blob, its shape) -> values
Draw = Callable[[np.random.Generator, int, Shape], Array]


def parameter_values(built: NetworkShapes, generator: np.random.Generator) -> dict[tuple[str, int], Array]:
    """By layer name and number of the blob; of shared ones the owner's alone."""
    return {
        (layer.layer.name, index): draw_parameter(layer, generator, index, parameter.shape)
        for layer in built.layers
        for index, parameter in enumerate(layer.parameters)
        if parameter.owner is None
    }


def draw_parameter(layer: LayerShapes, generator: np.random.Generator, blob: int, shape: Shape) -> Array:
    draw = _DRAWS.get(layer.layer.type, _weights)
    if layer.layer.type == "InnerProduct" and layer.layer.inner_product_param.transpose and not blob:
        return np.ascontiguousarray(draw(generator, blob, shape[::-1]).T)
    return draw(generator, blob, shape)


def _weights(generator: np.random.Generator, blob: int, shape: Shape) -> Array:
    """As MSRA's filler has it for a ReLU; a bias is small."""
    if blob:
        return normal(0, 0.3)(generator, shape)
    return normal(0, float(np.sqrt(2 / max(1, prod(shape[1:])))))(generator, shape)


def _statistics(generator: np.random.Generator, blob: int, shape: Shape) -> Array:
    """Sums of means, sums of variances, and the factor of both; often none collected yet."""
    if generator.random() < 0.15:
        return constant(0)(generator, shape)
    return (normal(0, 1), between(0.5, 4), between(1, 3))[blob](generator, shape)


def _factors(generator: np.random.Generator, blob: int, shape: Shape) -> Array:
    if blob:
        return normal(0, 0.3)(generator, shape)
    return normal(1, 0.3)(generator, shape)


def _slopes(generator: np.random.Generator, blob: int, shape: Shape) -> Array:
    return between(-0.2, 0.5)(generator, shape)


def _usual(generator: np.random.Generator, blob: int, shape: Shape) -> Array:
    return usual(generator, shape)


_DRAWS: dict[str, Draw] = {
    "BatchNorm": _statistics,
    "Bias": _usual,
    "Embed": _usual,
    "PReLU": _slopes,
    "Parameter": _usual,
    "Scale": _factors,
}
