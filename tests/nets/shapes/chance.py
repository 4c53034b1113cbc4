"""Random shapes, and what a specimen is: the shapes of the bottoms, and a layer with random parameters."""

from collections.abc import Callable
from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.proto import caffe_pb2 as pb

Specimen = tuple[list[Shape], pb.LayerParameter]
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
