"""Until when each blob of a net is needed in training, where nobody looks at blobs from outside."""

from collections.abc import Iterable, Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.fusing.unit import Unit
from batchbrew.caffe.gradient_flow import GradientFlow
from batchbrew.caffe.layer import Layer
from batchbrew.caffe.shared_memory import SHARING, data_memories, gradient_memories, is_view
from batchbrew.caffe.wiring import Wiring

HOW_TO_KEEP = (
    "during training, which takes less memory so: set solver.keep_blobs = True, or look after a net.forward() and "
    "net.backward() of your own"
)


class Lifetimes:
    """Drops data behind the last layer that reads them, forward or backward, and gradients behind the layer that made
    the blob. What the net reads (tops of layers without bottoms) and its outputs stay.
    """

    def __init__(
        self,
        wiring: Wiring,
        blobs: Sequence[Blob],
        layers: Sequence[Layer],
        flow: GradientFlow,
        units: Sequence[Unit],
    ) -> None:
        """`units` keep by themselves what their backward passes need."""
        in_units = {index for unit in units for index in range(unit.first, unit.last + 1)}
        in_units.difference_update(*(unit.reads_blobs_backward for unit in units))
        self._wiring, self._blobs, self._layers, self._flow = wiring, blobs, layers, flow
        staying = set(wiring.outputs)
        staying.update(blob for node in wiring.nodes if not node.bottoms for blob in node.tops)
        bottoms = [[blobs[blob] for blob in node.bottoms] for node in wiring.nodes]
        tops = [[blobs[blob] for blob in node.tops] for node in wiring.nodes]
        data = data_memories(blobs, layers, bottoms, tops)
        gradients = gradient_memories(blobs, layers, bottoms, tops)
        read_back = self._read_back(data, in_units)
        last_reader = {data[blob]: i for i, node in enumerate(wiring.nodes) for blob in node.bottoms}
        again = self._made_again(data, units)
        self._again: dict[int, list[Unit]] = {}
        self._forward: dict[int, list[int]] = {}
        self._backward: dict[int, list[int]] = {}
        self._gradients: dict[int, list[int]] = {}
        for memory, maker in self._makers(data, staying).items():
            if memory in read_back:
                self._backward.setdefault(maker, []).append(memory)
                if memory in again and memory in last_reader:
                    self._again.setdefault(last_reader[memory], []).append(again[memory])
            elif memory in last_reader:
                self._forward.setdefault(last_reader[memory], []).append(memory)
        written = self._written_back(gradients)
        for memory, maker in self._makers(gradients, staying).items():
            if flow.layers[maker] and memory in written:
                self._gradients.setdefault(maker, []).append(memory)

    def _read_back(self, memories: Sequence[int], in_units: set[int]) -> set[int]:
        """What backward passes read."""
        read: set[int] = set()
        for index, (node, layer) in enumerate(zip(self._wiring.nodes, self._layers, strict=True)):
            if self._flow.layers[index] and index not in in_units:
                bottoms = node.bottoms if layer.reads_bottoms_backward else []
                tops = node.tops if layer.reads_tops_backward else []
                read.update(memories[blob] for blob in [*bottoms, *tops])
        return read

    def _written_back(self, memories: Sequence[int]) -> set[int]:
        """What backward passes write before they read it. Other gradients last from one pass to the next: zeros, or the
        weight of a loss. A split adds up its tops', one of which goes to an Accuracy, say.
        """
        written: set[int] = set()
        lasting: set[int] = set()
        for index in reversed(range(len(self._layers))):
            node = self._wiring.nodes[index]
            if self._flow.layers[index] and not is_view(self._layers[index], node.bottoms, node.tops):
                lasting.update({memories[blob] for blob in node.tops} - written)
                asked = zip(node.bottoms, self._flow.bottoms[index], strict=True)
                written.update(memories[blob] for blob, wanted in asked if wanted)
        return written - lasting

    def _made_again(self, memories: Sequence[int], units: Sequence[Unit]) -> dict[int, Unit]:
        """The memories that a unit is the last to write, and can write again in the backward pass."""
        last_writer = {
            memories[blob]: i
            for i, node in enumerate(self._wiring.nodes)
            for blob in node.tops
            if self._layers[i].type not in SHARING
        }
        by_last = {unit.last: unit for unit in units if unit.writes_again}
        return {memory: by_last[index] for memory, index in last_writer.items() if index in by_last}

    def _makers(self, memories: Sequence[int], staying: set[int]) -> dict[int, int]:
        """For each memory that need not stay, the first layer that writes it."""
        makers: dict[int, int] = {}
        for index, node in enumerate(self._wiring.nodes):
            for blob in node.tops:
                makers.setdefault(memories[blob], index)
        for blob in staying:
            makers.pop(memories[blob], None)
        return makers

    def after_forward(self, layers: Iterable[int]) -> None:
        """Drop what no layer behind these reads any more."""
        for index in layers:
            self._drop_data(self._forward.get(index, ()))
            for unit in self._again.get(index, ()):
                unit.let_go()

    def after_backward(self, layers: Iterable[int]) -> None:
        """Drop what no layer before these reads any more."""
        for index in layers:
            self._drop_data(self._backward.get(index, ()))
            for blob in self._gradients.get(index, ()):
                name = self._wiring.blob_names[blob]
                self._blobs[blob].drop_diff(f"the gradient of blob {name} was not kept {HOW_TO_KEEP}")

    def _drop_data(self, blobs: Iterable[int]) -> None:
        for blob in blobs:
            name = self._wiring.blob_names[blob]
            self._blobs[blob].drop_data(f"the data of blob {name} were not kept {HOW_TO_KEEP}")
