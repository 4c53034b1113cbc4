"""DummyData: blobs that a filler fills."""

from collections.abc import Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.fillers import fill
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.proto import caffe_pb2 as pb

CONSTANT = "constant"


@layer("DummyData")
class DummyData(StandardLayer):
    """Constant tops are filled once, when the net is built, and keep what is written to them; others at each pass."""

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes, and fill the constant ones."""
        super().setup(bottom, top)
        super().reshape(bottom, top)
        MemoryLimit().check(sum(blob.count for blob in top))
        given = list(self.layer_param.dummy_data_param.data_filler) or [pb.FillerParameter(type=CONSTANT)]
        self._fillers = given * len(top) if len(given) == 1 else given
        for blob, filler in zip(top, self._fillers, strict=True):
            # the others are filled at each pass; but a type that there is not is refused now
            fill(blob if filler.type == CONSTANT else Blob(0), filler)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Nothing, as Net.reshape must not undo a blob's."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Fill the tops that are not constant."""
        for blob, filler in zip(top, self._fillers, strict=True):
            if filler.type != CONSTANT:
                fill(blob, filler)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Nothing to propagate."""
