"""Layers that compute nothing: they hand the memory of their bottom on, and it has several names then."""

from collections.abc import Iterable, Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import Layer

VIEWS = ("Flatten", "Reshape", "Concat", "Slice")  # one bottom and one top of theirs have one memory
SHARING = (*VIEWS, "Split")  # of data: each top of a Split has its own gradient
Blobs = Sequence[Blob]


def hands_on(layer: Layer, bottom: Sequence[object], top: Sequence[object]) -> bool:
    """Have the tops the memory of the one bottom, or will they have it when the layer has run?"""
    return layer.type == "Split" or is_view(layer, bottom, top)


def is_view(layer: Layer, bottom: Sequence[object], top: Sequence[object]) -> bool:
    """The same, of data and of gradient."""
    return layer.type in VIEWS and len(bottom) + len(top) == 2


def data_memories(
    blobs: Blobs, layers: Sequence[Layer], bottoms: Sequence[Blobs], tops: Sequence[Blobs]
) -> list[int]:
    """By blob, the number of the first of `blobs` that has the same memory, at the latest in the first passes."""
    first: dict[int, int] = {}
    parents = [first.setdefault(id(blob.data_memory), index) for index, blob in enumerate(blobs)]
    pairs = [
        (bottom[0], blob)
        for layer, bottom, top in zip(layers, bottoms, tops, strict=True)
        if hands_on(layer, bottom, top)
        for blob in top
    ]
    return _joined(blobs, parents, pairs)


def gradient_memories(
    blobs: Blobs, layers: Sequence[Layer], bottoms: Sequence[Blobs], tops: Sequence[Blobs]
) -> list[int]:
    """The same of gradients, while backward passes run.

    There a Flatten gives its bottom the memory of its top. Is the bottom a view of another blob, it is that no more:
    as in Caffe, a Flatten of a Reshape leaves the gradient of what was reshaped as it is, zero.
    """
    views = [
        (layer.type == "Flatten", bottom[0], top[0])
        for layer, bottom, top in zip(layers, bottoms, tops, strict=True)
        if is_view(layer, bottom, top)
    ]
    flattened = {id(bottom) for flattens, bottom, _ in views if flattens}
    pairs = [(bottom, top) for flattens, bottom, top in views if flattens or id(top) not in flattened]
    return _joined(blobs, list(range(len(blobs))), pairs)


def _joined(blobs: Blobs, parents: list[int], pairs: Iterable[tuple[Blob, Blob]]) -> list[int]:
    """The first blob of each set, `parents` being numbers of blobs before them in it, or their own."""
    places = {id(blob): index for index, blob in enumerate(blobs)}

    def first(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    for one, other in pairs:
        earlier, later = sorted((first(places[id(one)]), first(places[id(other)])))
        parents[later] = earlier
    return [first(index) for index in range(len(blobs))]
