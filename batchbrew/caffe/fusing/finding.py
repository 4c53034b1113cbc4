"""Which layers of a net can be computed at once."""

from collections.abc import Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.fusing.data import DataConvolution
from batchbrew.caffe.fusing.normalised import Member, NormalisedChain
from batchbrew.caffe.fusing.unit import Unit
from batchbrew.caffe.gradient_flow import GradientFlow
from batchbrew.caffe.layer import Layer
from batchbrew.caffe.layers.batch_norm import BatchNorm
from batchbrew.caffe.layers.convolution import Convolution
from batchbrew.caffe.layers.dropout import Dropout
from batchbrew.caffe.layers.rectified import ReLU
from batchbrew.caffe.layers.scale import Scale
from batchbrew.caffe.shared_memory import data_memories, hands_on

Blobs = Sequence[Sequence[Blob]]
AXES = (2, 4)  # N×C and N×C×H×W


def find_units(layers: Sequence[Layer], bottoms: Blobs, tops: Blobs, flow: GradientFlow) -> list[Unit]:
    """Chains of layers that follow each other at once; since Caffe's splits give every reader a blob of its own,
    nothing else reads the blobs between them.
    """
    finder = _Finder(layers, bottoms, tops, flow)
    units: list[Unit] = []
    index = 0
    while index < len(layers):
        unit = finder.unit_at(index)
        index += 1
        if unit is not None:
            units.append(unit)
            index = unit.last + 1
    return units


class _Finder:
    def __init__(self, layers: Sequence[Layer], bottoms: Blobs, tops: Blobs, flow: GradientFlow) -> None:
        self._layers, self._bottoms, self._tops, self._flow = layers, bottoms, tops, flow
        made = list({id(blob): blob for each in tops for blob in each}.values())
        names = data_memories(made, layers, bottoms, tops)
        self._memories = {id(blob): name for blob, name in zip(made, names, strict=True)}
        self._readers: dict[int, list[int]] = {}  # by memory
        self._writers: dict[int, list[int]] = {}
        for index, (layer, bottom, top) in enumerate(zip(layers, bottoms, tops, strict=True)):
            if not hands_on(layer, bottom, top):
                for users, used in ((self._readers, bottom), (self._writers, top)):
                    for memory in {self._memories[id(blob)] for blob in used}:
                        users.setdefault(memory, []).append(index)

    def unit_at(self, first: int) -> Unit | None:
        if type(self._layers[first]) is not BatchNorm or len(self._bottoms[first][0].shape) not in AXES:
            return None
        members = [self._member(first)]
        for kind in (Scale, ReLU):
            index = first + len(members)
            if index < len(self._layers) and type(self._layers[index]) is kind and self._continues(index):
                members.append(self._member(index))
        lasting = [
            member.top
            for member in members
            if self._is_read_besides(member.top, first, first + len(members) - 1)
        ]
        chain = NormalisedChain(first, members, lasting)
        return self._with_convolution(chain) or chain

    def _member(self, index: int) -> Member:
        layer = self._layers[index]
        assert isinstance(layer, BatchNorm | Scale | ReLU)
        learns, passes = self._flow.layers[index], self._flow.bottoms[index][0]
        return Member(layer, self._bottoms[index][0], self._tops[index][0], learns, passes)

    def _continues(self, index: int) -> bool:
        """Does the layer work on what the one before it made, as a chain can?"""
        layer, bottom = self._layers[index], self._bottoms[index]
        if len(bottom) != 1 or bottom[0] is not self._tops[index - 1][0] or not self._passes_back(index):
            return False
        if isinstance(layer, ReLU):
            return not layer.layer_param.relu_param.negative_slope and self._keeps_its_zeros(index)
        if isinstance(layer, Scale):
            if layer.layer_param.scale_param.axis != 1 or layer.blobs[0].shape != bottom[0].shape[1:2]:
                return False
            if bottom[0] is self._tops[index][0]:  # it keeps what it writes over
                return True
        return not self._writers_after(index, bottom[0])

    def _keeps_its_zeros(self, index: int) -> bool:
        """Caffe's ReLU lets gradients through where its bottom is above 0 at the end, whoever wrote it last: in place
        that is its top. Under the same name a Dropout or a ReLU does not change where that is as far as gradients come
        back; under another there may be readers past it.
        """
        bottom = self._bottoms[index][0]
        in_place = bottom is self._tops[index][0]
        return all(
            in_place and isinstance(self._layers[writer], Dropout | ReLU) and self._tops[writer][0] is bottom
            for writer in self._writers_after(index, bottom)
        )

    def _writers_after(self, index: int, blob: Blob) -> list[int]:
        """The layers behind `index` that write to the blob's memory, under whatever name: a Flatten's top, say."""
        return [writer for writer in self._writers[self._memories[id(blob)]] if writer > index]

    def _is_read_besides(self, blob: Blob, first: int, last: int) -> bool:
        """Does a layer behind these read the blob's memory, or the backward pass of any other one?"""
        memory = self._memories[id(blob)]
        readers, writers = self._readers.get(memory, []), self._writers[memory]
        backward = [index for index in readers if self._layers[index].reads_bottoms_backward]
        backward += [index for index in writers if self._layers[index].reads_tops_backward]
        return any(index > last for index in readers) or any(
            self._flow.layers[index] and not first <= index <= last for index in backward
        )

    def _passes_back(self, index: int) -> bool:
        """Is there a gradient for the layer before, if that runs backward?"""
        return not self._flow.layers[index - 1] or (self._flow.layers[index] and self._flow.bottoms[index][0])

    def _with_convolution(self, chain: NormalisedChain) -> Unit | None:
        """The convolution of data that are normalised first, and need no gradient themselves."""
        index = chain.last + 1
        if self._flow.bottoms[chain.first][0] or chain.rectifies:
            return None
        if index == len(self._layers) or not self._continues_to_convolution(index):
            return None
        layer = self._layers[index]
        assert isinstance(layer, Convolution)
        passes = self._flow.bottoms[index][0]
        return DataConvolution(chain, layer, self._bottoms[index][0], self._tops[index][0], passes)

    def _continues_to_convolution(self, index: int) -> bool:
        """Is there one that runs backward? Behind it is a loss then."""
        layer = self._layers[index]
        if type(layer) is not Convolution or not self._flow.layers[index] or not self._continues(index):
            return False
        return layer.is_planar and layer.layer_param.convolution_param.group == 1
