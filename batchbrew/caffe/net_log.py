"""What Caffe tells of a net while it is built (Net::Init of net.cpp)."""

from collections.abc import Sequence

from batchbrew.caffe import engine_log
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.gradient_flow import GradientFlow
from batchbrew.caffe.layer import Layer
from batchbrew.caffe.memory_limit import BYTES_PER_NUMBER
from batchbrew.caffe.parameters import ParameterTable
from batchbrew.caffe.wiring import Wiring
from batchbrew.nets.state import layers_in_state
from batchbrew.nets.upgrade import upgraded
from batchbrew.proto import caffe_pb2 as pb


class NetLog:
    """The lines of a net's building, in its order."""

    def __init__(self, param: pb.NetParameter, wiring: Wiring) -> None:
        self._wiring = wiring
        self._bytes = 0
        if engine_log.is_on():
            engine_log.info(
                "net.cpp:53", f"Initializing net from parameters: \n{engine_log.shown(_filtered(param))}"
            )

    def creating(self, index: int) -> None:
        """A layer, before it is set up: what it reads and writes."""
        if not engine_log.is_on():
            return
        node, names = self._wiring.nodes[index], self._wiring.blob_names
        name = node.layer_param.name
        engine_log.info("layer_factory.hpp:77", f"Creating layer {name}")
        engine_log.info("net.cpp:86", f"Creating Layer {name}")
        for blob in node.bottoms:
            engine_log.info("net.cpp:408", f"{name} <- {names[blob]}")
        for i, blob in enumerate(node.tops):
            if i < len(node.bottoms) and blob == node.bottoms[i]:
                engine_log.info("net.cpp:369", f"{name} -> {names[blob]} (in-place)")
            else:
                engine_log.info("net.cpp:382", f"{name} -> {names[blob]}")

    def made(
        self, layer: Layer, tops: Sequence[Blob], weights: Sequence[float], table: ParameterTable
    ) -> None:
        """The same layer, set up: its shapes."""
        if not engine_log.is_on():
            return
        engine_log.info("net.cpp:124", f"Setting up {layer.name}")
        for blob, weight in zip(tops, weights, strict=True):
            lengths = "".join(f"{length} " for length in blob.shape)
            engine_log.info("net.cpp:131", f"Top shape: {lengths}({blob.count})")
            if weight:
                engine_log.info("net.cpp:134", f"    with loss weight {engine_log.number(weight)}")
            self._bytes += BYTES_PER_NUMBER * blob.count
        engine_log.info("net.cpp:139", f"Memory required for data: {self._bytes}")
        for index in range(len(layer.blobs)):
            owner = table.owner_of(layer.name, index)
            if owner is not None:
                engine_log.info(
                    "net.cpp:467",
                    f"Sharing parameters '{owner.spec.name}' owned by layer '{owner.layer.name}', "
                    f"param index {owner.index}",
                )

    def done(self, flow: GradientFlow) -> None:
        """The whole net: which layers learn, and what comes out."""
        if not engine_log.is_on():
            return
        names = self._wiring.blob_names
        for node, needs in reversed(list(zip(self._wiring.nodes, flow.layers, strict=True))):
            line, needed = (200, "needs") if needs else (202, "does not need")
            engine_log.info(f"net.cpp:{line}", f"{node.layer_param.name} {needed} backward computation.")
        for blob in self._wiring.outputs:
            engine_log.info("net.cpp:244", f"This network produces output {names[blob]}")
        engine_log.info("net.cpp:257", "Network initialization done.")


def _filtered(param: pb.NetParameter) -> pb.NetParameter:
    """The net's own layers in its state, without numbers that they may bring."""
    net = upgraded(param)
    state = param.state
    shown = pb.NetParameter(name=net.name, force_backward=net.force_backward, debug_info=net.debug_info)
    for field in ("name", "force_backward", "debug_info"):
        if not net.HasField(field):
            shown.ClearField(field)
    shown.state.CopyFrom(state)
    for layer in layers_in_state(net, state.phase, level=state.level, stages=state.stage):
        added = shown.layer.add()
        added.CopyFrom(layer)
        del added.blobs[:]
    return shown
