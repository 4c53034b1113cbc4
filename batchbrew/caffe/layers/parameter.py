"""Parameter: a parameter as a blob, for layers that take it as a bottom."""

from collections.abc import Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer


@layer("Parameter")
class Parameter(StandardLayer):
    """Its top has the parameter's memory; it is all zeros until something is put there."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Share data and gradient: what a layer behind writes to its bottom's diff is the parameter's gradient."""
        top[0].share_data(self.blobs[0])
        top[0].share_diff(self.blobs[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Nothing to compute."""
