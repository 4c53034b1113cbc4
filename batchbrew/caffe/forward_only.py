"""Layers without a backward pass."""

from collections.abc import Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer
from batchbrew.nets.shapes.registry import Refusal


class ForwardOnly(StandardLayer):
    """A layer that has no gradient, as with Caffe's "Not Implemented Yet"."""

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Raises Refusal."""
        raise Refusal(
            "has no gradient: it cannot lie between a loss and what is learned, nor in nets with force_backward"
        )
