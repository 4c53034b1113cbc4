"""Reshape and Flatten: the same numbers under another shape, in one memory."""

from collections.abc import Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer


@layer("Reshape")
class Reshape(StandardLayer):
    """The top is the bottom's memory, of data and of gradient."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Share, each time: a layer before may give the bottom another memory in its forward pass, as Split does."""
        super().reshape(bottom, top)
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Nothing to compute."""

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Nothing to compute."""


@layer("Flatten")
class Flatten(StandardLayer):
    """The axes from `axis` to `end_axis` as one. Going forward the top has the bottom's data, going backward the bottom
    has the top's gradient.
    """

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Share the data."""
        top[0].share_data(bottom[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Share the gradient."""
        bottom[0].share_diff(top[0])
