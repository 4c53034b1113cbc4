"""Who writes and reads which blob, in place and out of place: Caffe's rules (net.cpp, insert_splits.cpp).

A layer whose n-th top has the name of its n-th bottom works in place: it writes over what was there. Some layers
hand their bottom's memory on under another name (SHARING): who writes there writes over the bottom too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from batchbrew.proto import caffe_pb2 as pb

# Flatten, Reshape and Split share always; Concat and Slice (concat_layer.cpp, slice_layer.cpp) with nothing to join
# or cut.
SHARING = ("Concat", "Flatten", "Reshape", "Slice", "Split")


@dataclass(eq=False)
class Memory:
    """A piece of memory; `writers` are the numbers of the layers that wrote to all of it, in their order.

    `contents`: all that was ever in it, under whatever name.
    """

    writers: list[int] = field(default_factory=list)
    contents: list["Content"] = field(default_factory=list)


@dataclass(eq=False)
class Content:
    """What is in a blob from one writing to the next."""

    blob: str
    maker: int
    """Number of the layer whose top this is."""
    memory: Memory
    writes: int
    """How often the memory had been written to when this was in it."""
    readers: list[int] = field(default_factory=list)

    @property
    def overwriters(self) -> list[int]:
        """The layers that write over it."""
        return self.memory.writers[self.writes :]

    def until(self, overwriter: int) -> list["Content"]:
        """It, and what other names its memory has until that layer writes there."""
        end = self.memory.writers.index(overwriter)
        return [each for each in self.memory.contents if self.writes <= each.writes <= end]


class Clash(NamedTuple):
    """Layer `layer` makes the blob that `maker` made already, and not in place."""

    layer: int
    blob: str
    maker: int


class BlobFlow:
    """Of the layers of one state. Layers are numbered from 0; `bottoms[n]`, `tops[n]` are those of layer n.

    A bottom that nobody makes is None there, and listed in `unknown` (layer, blob). What a layer reads after
    its memory was written over is listed in `stale` (layer, content).
    """

    def __init__(self, layers: Sequence[pb.LayerParameter]) -> None:
        self.layers = layers
        self.bottoms: list[list[Content | None]] = []
        self.tops: list[list[Content]] = []
        self.unknown: list[tuple[int, str]] = []
        self.clashes: list[Clash] = []
        self.stale: list[tuple[int, Content]] = []
        self._current: dict[str, Content] = {}
        for number, layer in enumerate(layers):
            self.bottoms.append([self._read(number, blob) for blob in layer.bottom])
            self.tops.append([self._write(number, layer, place) for place in range(len(layer.top))])

    def _read(self, number: int, blob: str) -> Content | None:
        content = self._current.get(blob)
        if content is None:
            self.unknown.append((number, blob))
            return None
        content.readers.append(number)
        if content.overwriters:
            self.stale.append((number, content))
        return content

    def _write(self, number: int, layer: pb.LayerParameter, place: int) -> Content:
        blob = layer.top[place]
        before = self._current.get(blob)
        bottom = self.bottoms[number][place] if place < len(layer.bottom) else None
        if is_in_place(layer, place) and bottom is not None:
            memory = bottom.memory
            memory.writers.append(number)
        elif (source := self._shared(number, layer)) is not None:
            memory = source.memory
        else:
            memory = Memory([number])
        if before is not None and not is_in_place(layer, place):
            self.clashes.append(Clash(number, blob, before.maker))
        content = Content(blob, number, memory, len(memory.writers))
        memory.contents.append(content)
        self._current[blob] = content
        return content

    def _shared(self, number: int, layer: pb.LayerParameter) -> Content | None:
        """The bottom whose memory this layer's tops are."""
        if layer.type not in SHARING or len(self.bottoms[number]) != 1:
            return None
        if layer.type == "Slice" and len(layer.top) > 1:
            return None
        return self.bottoms[number][0]

    def view_of(self, number: int) -> int | None:
        """The layer, if there is one, whose top the first bottom of layer `number` is, and which hands its own bottom's
        memory on, data and gradient; others may have worked there in place. Between several readers Caffe puts a Split.
        """
        bottom = self.bottoms[number][0]
        if bottom is not None and len(bottom.readers) > 1:
            return None
        while bottom is not None and is_in_place(self.layers[bottom.maker]):
            bottom = self.bottoms[bottom.maker][0]
        if bottom is None or self.layers[bottom.maker].type == "Split":
            return None
        return bottom.maker if self._shared(bottom.maker, self.layers[bottom.maker]) is not None else None

    def readers(self, number: int) -> list[int]:
        """The layers that read any top of layer `number`."""
        return [reader for top in self.tops[number] for reader in top.readers]

    def sharers(self, number: int, place: int = 0) -> list[int]:
        """For a layer that works in place: the others that read what it writes over."""
        content = self.bottoms[number][place]
        assert content is not None
        others = list(content.readers)
        others.remove(number)
        return others


def is_in_place(layer: pb.LayerParameter, place: int = 0) -> bool:
    """Does the layer write its top `place` over its bottom `place`?"""
    return place < min(len(layer.bottom), len(layer.top)) and layer.bottom[place] == layer.top[place]
