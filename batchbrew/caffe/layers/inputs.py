"""Input: blobs that a program fills."""

from collections.abc import Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer


@layer("Input")
class Input(StandardLayer):
    """Its tops keep what is written to them, and the shape that a program gives them."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Only once, as Net.reshape must not undo a blob's."""

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops the shapes of the prototxt; those that are written later by `reshape` stay."""
        super().reshape(bottom, top)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Nothing to compute."""

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Nothing to propagate."""
