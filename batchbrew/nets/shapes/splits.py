"""Caffe's own Split layers: where several layers read a blob, each gets a copy (insert_splits.cpp)."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchbrew.nets.shapes.registry import ShapeError
from batchbrew.proto import caffe_pb2 as pb

Top = tuple[int, int]  # index of a layer, and of one of its tops


@dataclass(frozen=True)
class Step:
    """A layer as Caffe runs it: `bottoms` are the names of its blobs once splits are in."""

    layer: pb.LayerParameter
    bottoms: Sequence[str]
    split: bool = False


def with_splits(layers: Sequence[pb.LayerParameter]) -> list[Step]:
    """The layers, with a Split behind every one whose top is read more than once.

    A loss_weight on a top counts as a reader; the Split has it then, and Caffe ignores the layer's. Raises
    ShapeError for a bottom that no layer before makes.
    """
    sources = _sources(layers)
    readers: dict[Top, int] = {}
    for of_layer in sources:
        for source in of_layer:
            readers[source] = readers.get(source, 0) + 1
    weighted = {
        (index, top)
        for index, layer in enumerate(layers)
        for top, weight in enumerate(layer.loss_weight[: len(layer.top)])
        if weight
    }
    for source in weighted:
        readers[source] = readers.get(source, 0) + 1
    taken = dict.fromkeys(weighted, 1)  # the loss has the first copy
    steps: list[Step] = []
    for index, layer in enumerate(layers):
        bottoms = []
        for name, source in zip(layer.bottom, sources[index], strict=True):
            if readers[source] > 1:
                copy = taken.get(source, 0)
                taken[source] = copy + 1
                name = _copy_name(layers, source, copy)
            bottoms.append(name)
        steps.append(Step(layer, bottoms))
        for top in range(len(layer.top)):
            count = readers.get((index, top), 0)
            if count > 1:
                steps.append(_split(layers, (index, top), count))
    return steps


def _sources(layers: Sequence[pb.LayerParameter]) -> list[list[Top]]:
    """For each bottom of each layer, which top it is."""
    last: dict[str, Top] = {}
    sources = []
    for index, layer in enumerate(layers):
        for name in layer.bottom:
            if name not in last:
                raise ShapeError(
                    f"layer {layer.name} ({layer.type}): no layer before it makes its bottom {name!r} in this phase"
                )
        sources.append([last[name] for name in layer.bottom])
        last.update({name: (index, top) for top, name in enumerate(layer.top)})
    return sources


def _split(layers: Sequence[pb.LayerParameter], source: Top, count: int) -> Step:
    index, top = source
    blob = layers[index].top[top]
    split = pb.LayerParameter(
        name=f"{blob}_{layers[index].name}_{top}_split",
        type="Split",
        bottom=[blob],
        top=[_copy_name(layers, source, copy) for copy in range(count)],
    )
    weight = layers[index].loss_weight[top] if top < len(layers[index].loss_weight) else 0
    if weight:
        split.loss_weight.extend([weight] + [0] * (count - 1))
    return Step(split, [blob], split=True)


def _copy_name(layers: Sequence[pb.LayerParameter], source: Top, copy: int) -> str:
    index, top = source
    return f"{layers[index].top[top]}_{layers[index].name}_{top}_split_{copy}"
