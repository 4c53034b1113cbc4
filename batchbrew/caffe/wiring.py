"""Which blob each layer of a net reads and writes, before any layer is made (Net::Init of net.cpp)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchbrew.caffe.layer import LayerError
from batchbrew.nets.shapes.network import AUTOMATIC, all_tops, is_in_place
from batchbrew.nets.shapes.registry import Refusal, ShapeError
from batchbrew.nets.shapes.splits import Step, with_splits
from batchbrew.nets.state import layers_in_state
from batchbrew.nets.upgrade import upgraded
from batchbrew.proto import caffe_pb2 as pb


@dataclass
class Node:
    """A layer in its place: the numbers of the blobs that it reads and writes."""

    layer_param: pb.LayerParameter
    bottoms: list[int]
    tops: list[int]


@dataclass
class Wiring:
    """The layers of a net in order, with its blobs by number. `inputs`: blobs of Input layers; `outputs`: blobs
    that no layer reads, sorted by name as Caffe has them.
    """

    name: str
    nodes: list[Node] = field(default_factory=list)
    blob_names: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


def wire(net: pb.NetParameter, phase: pb.Phase, level: int = 0, stages: Sequence[str] = ()) -> Wiring:
    """The wiring of `net` as Caffe would build it in `phase`. Raises InputError."""
    net = upgraded(net)
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise LayerError(
                f"layer {layer.name} ({layer.type}): has include and exclude rules: keep one kind"
            )
    layers = layers_in_state(net, phase, level=level, stages=stages)
    return _Wirer(net.name, phase).wire(with_splits(layers))


class _Wirer:
    def __init__(self, name: str, phase: pb.Phase) -> None:
        self._phase = phase
        self._wiring = Wiring(name)
        self._blob_ids: dict[str, int] = {}
        self._makers: dict[str, str] = {}
        self._unread: set[str] = set()

    def wire(self, steps: Sequence[Step]) -> Wiring:
        counted_by_split = _counted_by_splits(steps)
        for index, step in enumerate(steps):
            layer_param = self._layer_param(step)
            if index in counted_by_split:
                layer_param.ClearField("loss_weight")
            try:
                self._add(step, layer_param)
            except Refusal as refusal:
                raise ShapeError(f"layer {step.layer.name} ({step.layer.type}): {refusal}") from None
        self._wiring.outputs = [self._blob_ids[name] for name in sorted(self._unread)]
        return self._wiring

    def _layer_param(self, step: Step) -> pb.LayerParameter:
        layer_param = pb.LayerParameter()
        layer_param.CopyFrom(step.layer)
        del layer_param.bottom[:]
        layer_param.bottom.extend(step.bottoms)
        if not layer_param.HasField("phase"):
            layer_param.phase = self._phase
        return layer_param

    def _add(self, step: Step, layer_param: pb.LayerParameter) -> None:
        bottoms = [self._blob_ids[name] for name in step.bottoms]
        self._unread -= set(step.bottoms)
        tops = [self._top(step, index, name) for index, name in enumerate(all_tops(layer_param))]
        if layer_param.type == "Input":
            self._wiring.inputs += tops
        self._wiring.nodes.append(Node(layer_param, bottoms, tops))

    def _top(self, step: Step, index: int, name: str) -> int:
        """The number of a top's blob: that of the bottom in whose place it is, or a new one."""
        if not is_in_place(step, index, name, self._makers):
            self._blob_ids[name] = len(self._wiring.blob_names)
            self._wiring.blob_names.append(name)
        if name != AUTOMATIC:
            self._makers[name] = step.layer.name
            self._unread.add(name)
        return self._blob_ids[name]


def _counted_by_splits(steps: Sequence[Step]) -> set[int]:
    """The steps whose loss_weight a Split behind them has taken over."""
    taken = set()
    owner = 0
    for index, step in enumerate(steps):
        if not step.split:
            owner = index
        elif step.layer.loss_weight:
            taken.add(owner)
    return taken
