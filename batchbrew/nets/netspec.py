"""A NetParameter, built a layer at a time."""

from collections.abc import Sequence
from typing import Any

from batchbrew.proto import caffe_pb2 as pb


class NetBuilder:
    """Collects layers in the order in which Caffe will run them; `net` is the message so far.

    A mistake here is a mistake of a network of ours, never of a user: it is asserted.
    """

    def __init__(self, name: str) -> None:
        self.net = pb.NetParameter(name=name)
        self._blobs: set[str] = set()
        self._layers: dict[str, bool] = {}  # by name: is it there in every phase?

    def add(
        self,
        name: str,
        kind: str,
        bottoms: Sequence[str] = (),
        tops: Sequence[str] | None = None,
        **fields: Any,
    ) -> str:
        """Append a layer of type `kind` and return its first top; without `tops` it has one, of its own name.

        `fields` are LayerParameter's own: `param=[...]`, `convolution_param=...`, `include=[...]`. Two layers
        may share a name only if both say in which phase they are included.
        """
        tops = (name,) if tops is None else tops
        for bottom in bottoms:
            assert bottom in self._blobs, f"{name} reads {bottom}, which no layer before it makes"
        layer = pb.LayerParameter(name=name, type=kind, bottom=bottoms, top=tops, **fields)
        in_every_phase = not layer.include
        clash = name in self._layers and (in_every_phase or self._layers[name])
        assert not clash, f"two layers are named {name}"
        self._layers[name] = in_every_phase
        self.net.layer.append(layer)
        self._blobs.update(tops)
        return tops[0]
