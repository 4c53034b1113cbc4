"""Concat, which puts blobs one behind the other, and Slice, which cuts one into pieces."""

from collections.abc import Sequence

import torch

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.rearranging import concat_axis, slice_axis


@layer("Concat")
class Concat(StandardLayer):
    """The bottoms one behind the other along an axis. A single one has its top's memory."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Also share memory, anew each time, as that of the bottom may be another one."""
        super().reshape(bottom, top)
        if len(bottom) == 1:
            _share(bottom[0], top[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Join."""
        if len(bottom) > 1:
            axis = concat_axis(self.layer_param.concat_param, bottom[0].shape)
            top[0].data_tensor = torch.cat([blob.held_data for blob in bottom], axis)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """To each bottom its piece of the gradient."""
        if len(bottom) == 1:
            return
        axis = concat_axis(self.layer_param.concat_param, bottom[0].shape)
        pieces = torch.split_with_sizes(top[0].held_diff, [blob.shape[axis] for blob in bottom], axis)
        for blob, piece, asked in zip(bottom, pieces, propagate_down, strict=True):
            if asked:
                blob.diff_tensor = piece.clone()


@layer("Slice")
class Slice(StandardLayer):
    """Pieces of the bottom along an axis, equal ones or cut at slice_point. A single one has the bottom's memory."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Also share memory, as in Concat."""
        super().reshape(bottom, top)
        if len(top) == 1:
            _share(bottom[0], top[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Cut."""
        if len(top) == 1:
            return
        axis = slice_axis(self.layer_param.slice_param, bottom[0].shape)
        pieces = torch.split_with_sizes(bottom[0].held_data, [blob.shape[axis] for blob in top], axis)
        for blob, piece in zip(top, pieces, strict=True):
            blob.data_tensor = piece.clone()

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Join the pieces' gradients."""
        if propagate_down[0] and len(top) > 1:
            axis = slice_axis(self.layer_param.slice_param, bottom[0].shape)
            bottom[0].diff_tensor = torch.cat([blob.held_diff for blob in top], axis)


def _share(bottom: Blob, top: Blob) -> None:
    top.share_data(bottom)
    top.share_diff(bottom)
