"""The registry of layer types: what a rule is given, what it answers, and which numbers of blobs a type takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

Shape = tuple[int, ...]

MAX_AXES = 32  # blob.hpp, kMaxBlobAxes
MAX_COUNT = 2**31 - 1  # numbers in a blob: Caffe counts them in an int


class ShapeError(InputError):
    """A network that Caffe would not build; the text names the layer."""


class EmptyBlobError(ShapeError):
    """A layer whose output would have no pixels: the image that goes in is too small."""


class UnknownInputError(ShapeError):
    """A blob whose shape the prototxt does not tell: it must be given."""


class Refusal(Exception):
    """Raised by rules: why a layer cannot be built, in words that follow its name."""


class NotTold(Refusal):
    """Raised by rules: the shape is not in the prototxt."""


class SourceImage(NamedTuple):
    """The size of the images that a data layer reads, before any cropping."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Known:
    """What is known about a network's inputs beside its prototxt.

    `shapes` gives blobs of source layers (those without bottoms) by name, and of Python layers; `batch`
    replaces the first axis of what source layers make, `size` the height and width of those with four axes.
    `first_image` looks into what a Data or ImageData layer reads: it returns None if that is not there.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    batch: int | None = None
    size: tuple[int, int] | None = None
    first_image: Callable[[pb.LayerParameter], SourceImage | None] = lambda layer: None


@dataclass(frozen=True)
class Site:
    """A layer in its network: its message, the shapes of its bottoms, the number of its tops."""

    layer: pb.LayerParameter
    bottoms: Sequence[Shape]
    tops: int
    known: Known = field(default_factory=Known)


@dataclass(frozen=True)
class Answer:
    """What a rule says of a layer.

    `multiply_adds` are those of one forward pass of the whole batch: convolutions and inner products alone, as
    published figures have it. `statistics`: how many of the parameters, from the first on, are collected and not
    learned. `shares_data`: the top is the bottom's memory under another shape. `overhang`: says so if a window is
    larger than the padded image, `note` what else there is to say.
    """

    tops: Sequence[Shape]
    parameters: Sequence[Shape] = ()
    multiply_adds: int = 0
    statistics: int = 0
    shares_data: bool = False
    overhang: str | None = None
    note: str | None = None


class Arity(NamedTuple):
    """How many blobs a type takes; `most` None: any number."""

    least: int
    most: int | None

    def admits(self, count: int) -> bool:
        """Is `count` one of the numbers?"""
        return count >= self.least and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least} or more"
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


ANY = Arity(0, None)
NONE, ONE, TWO, THREE = (Arity(count, count) for count in range(4))
SOME, TWO_OR_MORE = Arity(1, None), Arity(2, None)
ONE_OR_TWO, TWO_OR_THREE = Arity(1, 2), Arity(2, 3)

Rule = Callable[[Site], Answer]


@dataclass(frozen=True)
class LayerType:
    """A type of layer. `automatic_tops`: Caffe makes up tops that the prototxt does not name, as for losses."""

    rule: Rule
    bottoms: Arity
    tops: Arity
    in_place: bool = True
    automatic_tops: bool = False
    loss: bool = False


LAYER_TYPES: dict[str, LayerType] = {}


def layer_rule(
    *names: str,
    bottoms: Arity = ONE,
    tops: Arity = ONE,
    in_place: bool = True,
    automatic_tops: bool = False,
    loss: bool = False,
) -> Callable[[Rule], Rule]:
    """Register a rule for the types `names`."""

    def register(rule: Rule) -> Rule:
        for name in names:
            assert name not in LAYER_TYPES, f"{name} is registered twice"
            LAYER_TYPES[name] = LayerType(rule, bottoms, tops, in_place, automatic_tops, loss)
        return rule

    return register


def by(shape: Shape) -> str:
    """A shape in words: 16×3×224×224."""
    return "×".join(map(str, shape)) or "a single number"
