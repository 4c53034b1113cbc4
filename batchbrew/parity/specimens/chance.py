"""Random shapes, and what a specimen is: bottoms, what they hold, and a layer with random parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.parity.specimens.values import Values, usual
from batchbrew.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class Bottom:
    """A blob that goes into a layer. `gradient`: does the layer compute one with respect to it?"""

    shape: Shape
    values: Values = usual
    gradient: bool = True


@dataclass(frozen=True)
class Specimen:
    """A layer and its bottoms, unconnected.

    `in_place`: its top may be its first bottom. `forward_only`: its backward pass in real Caffe writes beside its
    blobs, so that what comes of it is no measure.
    """

    bottoms: list[Bottom]
    layer: pb.LayerParameter
    in_place: bool = False
    forward_only: bool = False


Maker = Callable[[Random], Specimen]


def shape(random: Random, axes: int, largest: int = 6) -> Shape:
    return tuple(random.randint(1, largest) for _ in range(axes))


def any_shape(random: Random, least: int = 1, most: int = 5) -> Shape:
    return shape(random, random.randint(least, most))


def image(random: Random) -> Shape:
    return random.randint(1, 3), random.choice([1, 2, 3, 4, 6]), random.randint(1, 13), random.randint(1, 13)


def maybe(random: Random, probability: float = 0.3) -> bool:
    return random.random() < probability


def axis(random: Random, axes: int, probability_wrong: float = 0.08) -> int:
    if maybe(random, probability_wrong):
        return random.choice([axes, -axes - 1])
    return random.randint(-axes, axes - 1)


def some_learning_rates(random: Random, layer: pb.LayerParameter, blobs: int) -> None:
    """Sometimes say how fast each of the layer's blobs learns: 0 means that Caffe computes no gradient for it."""
    if maybe(random):
        for _ in range(random.randint(1, blobs)):
            layer.param.add(lr_mult=random.choice([0, 1, 2]), decay_mult=random.choice([0, 1]))
