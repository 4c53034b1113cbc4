"""Split, which Caffe puts where several layers read one blob; Silence, which reads what nobody wants."""

from collections.abc import Sequence

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer


@layer("Split")
class Split(StandardLayer):
    """Tops that share the bottom's data; the bottom's gradient is the sum of theirs."""

    reads_bottoms_backward = reads_tops_backward = False

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Share."""
        for blob in top:
            blob.share_data(bottom[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Add up, in the order of the tops as Caffe does."""
        if not propagate_down[0]:
            return
        if len(top) == 1:
            bottom[0].copy_diff(top[0])
            return
        total = top[0].held_diff + top[1].held_diff
        for blob in top[2:]:
            total = total + blob.held_diff
        bottom[0].diff_tensor = total


@layer("Silence")
class Silence(StandardLayer):
    """Keeps its bottoms from being outputs of the net; their gradient is zero."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Nothing to compute."""

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Zeros."""
        for blob, asked in zip(bottom, propagate_down, strict=True):
            if asked:
                blob.clear_diff()
