"""Until when each blob of a net is needed in training, where nobody looks at blobs from outside."""

from collections.abc import Callable, Iterable, Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.fusing.unit import Unit
from batchbrew.caffe.gradient_flow import GradientFlow
from batchbrew.caffe.layer import Layer
from batchbrew.caffe.memory import Memory
from batchbrew.caffe.wiring import Wiring

HOW_TO_KEEP = (
    "during training, which takes less memory so: set solver.keep_blobs = True, or look after a net.forward() and "
    "net.backward() of your own"
)

SHARING = ("Flatten", "Reshape", "Concat", "Slice")  # one bottom and one top of theirs have one memory


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
        data = self._memories(lambda blob: blob.data_memory, {*SHARING, "Split"})
        gradients = self._memories(lambda blob: blob.diff_memory, SHARING)
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

    def _memories(self, of: Callable[[Blob], Memory], sharing: Iterable[str]) -> list[int]:
        """By blob, the first blob that shares its memory, at the latest in the first passes: types of `sharing` give
        their single top the memory of their single bottom then, or the other way round.
        """
        first: dict[int, int] = {}
        found = [first.setdefault(id(of(blob)), index) for index, blob in enumerate(self._blobs)]
        for node, layer in zip(self._wiring.nodes, self._layers, strict=True):
            if layer.type not in sharing or (
                layer.type != "Split" and len(node.bottoms) + len(node.tops) > 2
            ):
                continue
            for blob in node.tops:
                one, other = sorted((found[node.bottoms[0]], found[blob]))
                found = [one if each == other else each for each in found]
        return found

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
        """What backward passes write. Other gradients are zeros, or the weight of a loss, for good, and are read so: a
        split adds up its tops', one of which goes to an Accuracy, say.
        """
        return {
            memories[blob]
            for node, runs, asked in zip(
                self._wiring.nodes, self._flow.layers, self._flow.bottoms, strict=True
            )
            if runs
            for blob, wanted in zip(node.bottoms, asked, strict=True)
            if wanted
        }

    def _made_again(self, memories: Sequence[int], units: Sequence[Unit]) -> dict[int, Unit]:
        """The memories that a unit is the last to write, and can write again in the backward pass."""
        last_writer = {
            memories[blob]: i
            for i, node in enumerate(self._wiring.nodes)
            for blob in node.tops
            if self._layers[i].type not in (*SHARING, "Split")
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
