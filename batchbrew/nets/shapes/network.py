"""A network from its first layer to its last: shapes of all blobs, parameters, what each layer costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from batchbrew.errors import InputError
from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.nets.shapes.registry import (
    MAX_AXES,
    MAX_COUNT,
    Answer,
    EmptyBlobError,
    Known,
    LayerType,
    NotTold,
    Refusal,
    Shape,
    ShapeError,
    Site,
    UnknownInputError,
    by,
)  # fmt: skip
from batchbrew.nets.shapes.splits import Step, with_splits
from batchbrew.nets.state import layers_in_state
from batchbrew.nets.upgrade import upgraded
from batchbrew.proto import caffe_pb2 as pb

AUTOMATIC = "(automatic)"  # Caffe's name for tops that the prototxt does not name


@dataclass(frozen=True)
class Parameter:
    """A parameter blob of a layer: weights that are learned, or statistics that are collected.

    `owner` names the layer that has it, if it is another one's, shared.
    """

    shape: Shape
    statistics: bool = False
    owner: str | None = None


@dataclass(frozen=True)
class LayerShapes:
    """One layer as Caffe builds it. `split`: Caffe put it there; the prototxt does not have it.

    `data_numbers` and `gradient_numbers` are what its tops take in memory, and `logged_numbers` what
    Caffe's log counts for them: a top in place, or that shares its bottom's memory, is counted there again.
    """

    layer: pb.LayerParameter
    bottoms: Sequence[Shape]
    tops: Mapping[str, Shape]
    parameters: Sequence[Parameter]
    multiply_adds: int
    data_numbers: int
    gradient_numbers: int
    logged_numbers: int
    split: bool
    overhang: str | None
    note: str | None

    @property
    def learned(self) -> int:
        """The numbers in its weights, without those of other layers."""
        return sum(prod(p.shape) for p in self.parameters if p.owner is None and not p.statistics)

    @property
    def statistics(self) -> int:
        """The numbers that it collects."""
        return sum(prod(p.shape) for p in self.parameters if p.owner is None and p.statistics)


@dataclass(frozen=True)
class NetworkShapes:
    """All layers of a network in the order in which they run, and the shape of every blob by its name."""

    layers: Sequence[LayerShapes]
    blobs: Mapping[str, Shape]

    @property
    def batch(self) -> int:
        """The first axis of the first blob: how many images go in at once."""
        first = next(iter(self.blobs.values()), ())
        return first[0] if first else 1

    @property
    def logged_bytes(self) -> int:
        """What Caffe's log calls "Memory required for data"."""
        return 4 * sum(layer.logged_numbers for layer in self.layers)


def infer_shapes(net: pb.NetParameter, phase: int = pb.TRAIN, known: Known | None = None) -> NetworkShapes:
    """Build `net` as Caffe's Net::Init would for `phase`, at the level and stages in its state.

    Old networks (`layers`, `input:`) are upgraded first. Raises ShapeError where Caffe would refuse,
    EmptyBlobError for a blob without numbers, UnknownInputError where the prototxt does not tell a shape.
    """
    net = upgraded(net)
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise ShapeError(
                f"layer {layer.name} ({layer.type}): has include and exclude rules: keep one kind"
            )
    layers = layers_in_state(net, phase, level=net.state.level, stages=net.state.stage)
    builder = _Builder(known or Known())
    for step in with_splits(layers):
        builder.add(step)
    return NetworkShapes(builder.layers, builder.blobs)


def layer_shapes(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> LayerShapes:
    """One layer by itself, given the shapes of its bottoms. Raises like infer_shapes."""
    builder = _Builder(Known())
    names = [f"bottom {index}" for index in range(len(bottoms))]
    builder.blobs.update(zip(names, bottoms, strict=True))
    builder.add(Step(layer, names))
    return builder.layers[0]


def answer_for(layer: pb.LayerParameter, bottoms: Sequence[Shape], tops: int, known: Known) -> Answer:
    """What the rule of the layer's type says. Raises Refusal, and for unknown types InputError."""
    kind = LAYER_TYPES.get(layer.type)
    if kind is None:
        return _foreign(layer, tops, known)
    check_arity(kind, layer, len(bottoms), tops)
    return kind.rule(Site(layer, bottoms, tops, known))


def is_in_place(step: Step, index: int, name: str, makers: Mapping[str, str]) -> bool:
    """Is top `index` of a layer, named `name`, the bottom beside it? `makers`: by blob, the layer that made it.

    Raises Refusal if another layer makes the blob, or the layer's type cannot work in place.
    """
    if name == AUTOMATIC:
        return False
    if index < len(step.bottoms) and step.bottoms[index] == name:
        kind = LAYER_TYPES.get(step.layer.type)
        if kind is not None and not kind.in_place:
            raise Refusal(f"cannot work in place: give its top another name than {name}")
        return True
    if name not in makers:
        return False
    if index < len(step.layer.bottom) and step.layer.bottom[index] == name:
        raise Refusal(
            f"works in place on {name}, which other layers read too as it was before: give its top another name"
        )
    raise Refusal(f"its top {name} is already made by layer {makers[name]}: give it another name")


def all_tops(layer: pb.LayerParameter) -> list[str]:
    """The names of a layer's tops, with those that Caffe makes up."""
    names = list(layer.top)
    kind = LAYER_TYPES.get(layer.type)
    if kind is not None and kind.automatic_tops:
        names += [AUTOMATIC] * (kind.tops.least - len(names))
    return names


def check_tops(layer: pb.LayerParameter, tops: Sequence[Shape]) -> None:
    """Raises EmptyBlobError for a length below 1, Refusal for what no blob can hold."""
    for shape in tops:
        if min(shape, default=1) < 1:
            raise EmptyBlobError(f"the output of layer {layer.name} would be {by(shape)}")
        _check_size("output", shape)


def check_parameters(shapes: Sequence[Shape]) -> None:
    """Raises Refusal for a parameter without numbers, or with more than a blob can hold."""
    for index, shape in enumerate(shapes):
        if min(shape, default=1) < 1:
            raise Refusal(f"its parameter {index} would be {by(shape)}")
        _check_size(f"parameter {index}", shape)


def _check_size(what: str, shape: Shape) -> None:
    if len(shape) > MAX_AXES:
        raise Refusal(f"its {what} has {len(shape)} axes: Caffe's blobs have {MAX_AXES} at most")
    if prod(shape) > MAX_COUNT:
        raise Refusal(
            f"its {what} {by(shape)} is too large: Caffe's blobs hold {MAX_COUNT:,} numbers at most"
        )


def _named(layer: pb.LayerParameter, text: str) -> str:
    return f"layer {layer.name} ({layer.type}): {text}"


def _foreign(layer: pb.LayerParameter, tops: int, known: Known) -> Answer:
    """A type that BVLC Caffe does not have, from somebody's fork: as told."""
    if tops and all(name in known.shapes for name in layer.top):
        note = f"is of type {layer.type!r}, which is not known: its parameters and cost are not counted"
        return Answer([known.shapes[name] for name in layer.top], note=note)
    example = layer.top[0] if layer.top else "BLOB"
    raise InputError(
        f"layer {layer.name} has type {layer.type!r}, which is not known; give its tops as "
        f"--shape {example}=N,C,H,W, or use one of these: known are {', '.join(sorted(LAYER_TYPES))}"
    )


def check_arity(kind: LayerType, layer: pb.LayerParameter, bottoms: int, tops: int) -> None:
    """Raises Refusal for numbers of bottoms or tops that the type does not take, and of what belongs to each."""
    if not kind.bottoms.admits(bottoms):
        raise Refusal(f"takes {kind.bottoms} bottoms, not {bottoms}")
    if not kind.tops.admits(tops):
        raise Refusal(f"takes {kind.tops} tops, not {tops}")
    weights = len(layer.loss_weight)
    if weights not in (0, tops) or (kind.loss and tops > 1 and not weights):
        raise Refusal(f"has {weights} loss_weight for {tops} tops: give one for each")
    if layer.propagate_down and len(layer.propagate_down) != bottoms:
        raise Refusal(
            f"has {len(layer.propagate_down)} propagate_down for {bottoms} bottoms: give one for each"
        )


class _Builder:
    def __init__(self, known: Known) -> None:
        self.known = known
        self.blobs: dict[str, Shape] = {}
        self.layers: list[LayerShapes] = []
        self._makers: dict[str, str] = {}  # by blob, the layer that made it
        self._shared: dict[
            str, tuple[pb.LayerParameter, int, Shape]
        ] = {}  # by name, the owner of a parameter

    def add(self, step: Step) -> None:
        """Raises ShapeError that names the layer."""
        try:
            self._add(step)
        except NotTold as refusal:
            raise UnknownInputError(_named(step.layer, str(refusal))) from None
        except Refusal as refusal:
            raise ShapeError(_named(step.layer, str(refusal))) from None

    def _add(self, step: Step) -> None:
        layer = step.layer
        names = all_tops(layer)
        in_place = [is_in_place(step, index, name, self._makers) for index, name in enumerate(names)]
        bottoms = [self.blobs[name] for name in step.bottoms]
        answer = answer_for(layer, bottoms, len(names), self.known)
        check_tops(layer, answer.tops)
        self.blobs.update(zip(names, answer.tops, strict=True))
        self._makers.update(dict.fromkeys(names, layer.name))
        counts = [prod(shape) for shape in answer.tops]
        own = sum(count for count, again in zip(counts, in_place, strict=True) if not again)
        shares_gradient = answer.shares_data and layer.type != "Split"
        self.layers.append(
            LayerShapes(
                layer=layer,
                bottoms=bottoms,
                tops=dict(zip(names, answer.tops, strict=True)),
                parameters=self._parameters(layer, answer),
                multiply_adds=answer.multiply_adds,
                data_numbers=0 if answer.shares_data else own,
                gradient_numbers=0 if shares_gradient or not bottoms else own,
                logged_numbers=sum(counts),
                split=step.split,
                overhang=answer.overhang,
                note=answer.note,
            )
        )

    def _parameters(self, layer: pb.LayerParameter, answer: Answer) -> list[Parameter]:
        shapes = answer.parameters
        if len(layer.param) > len(shapes) and layer.type in LAYER_TYPES and layer.type != "Python":
            raise Refusal(f"has {len(layer.param)} param, but only {len(shapes)} parameters")
        parameters = []
        for index, shape in enumerate(shapes):
            name = layer.param[index].name if index < len(layer.param) else ""
            collected = index < answer.statistics
            owner = self._shared.get(name) if name else None
            if owner is None:
                parameters.append(Parameter(shape, collected))
                if name:
                    self._shared[name] = layer, index, shape
            else:
                _check_shared(layer, index, shape, *owner)
                parameters.append(Parameter(shape, collected, owner[0].name))
        return parameters


def _check_shared(
    layer: pb.LayerParameter, index: int, shape: Shape, owner: pb.LayerParameter, owner_index: int,
    owner_shape: Shape,
) -> None:  # fmt: skip
    mine, theirs = layer.param[index], owner.param[owner_index]
    loosely = mine.share_mode == pb.ParamSpec.PERMISSIVE
    if prod(shape) != prod(owner_shape) if loosely else shape != owner_shape:
        raise Refusal(
            f"its parameter {mine.name!r} is {by(shape)}, but that of layer {owner.name}, with which it is shared, "
            f"is {by(owner_shape)}"
        )
    for field in ("lr_mult", "decay_mult"):
        if mine.HasField(field) and theirs.HasField(field) and getattr(mine, field) != getattr(theirs, field):
            raise Refusal(
                f"its parameter {mine.name!r} has {field} {getattr(mine, field):g}, but {getattr(theirs, field):g} "
                f"in layer {owner.name}, with which it is shared"
            )
