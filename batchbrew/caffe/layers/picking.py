"""Layers that pick: Crop a region, Filter and BatchReindex items."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.rearranging import crop_offsets
from batchbrew.nets.shapes.registry import Refusal


@layer("Crop")
class Crop(StandardLayer):
    """The first bottom, cut to the lengths of the second from `axis` on."""

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Where the cut begins along each axis."""
        self._offsets = crop_offsets(self.layer_param.crop_param, bottom[0].shape)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Cut."""
        cut = [slice(at, at + length) for at, length in zip(self._offsets, top[0].shape, strict=True)]
        top[0].data_tensor = bottom[0].data_tensor[tuple(cut)].clone()

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Zeros around the gradient; the second bottom has none."""
        if not propagate_down[0]:
            return
        pads: list[int] = []  # from the last axis to the first
        for at, length, whole in zip(self._offsets, top[0].shape, bottom[0].shape, strict=True):
            pads = [at, whole - at - length, *pads]
        bottom[0].diff_tensor = torch.nn.functional.pad(top[0].diff_tensor, pads)


@layer("Filter")
class Filter(StandardLayer):
    """Of each bottom but the last the items for which the last one's number is not 0: as many as there are."""

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Before any data has come, all items are expected."""
        super().setup(bottom, top)
        self._chosen: Tensor | None = None

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """By what the selector holds. Raises Refusal."""
        self.answer(bottom, top)  # for its checks
        *blobs, selector = bottom
        items = selector.shape[0]
        if self._chosen is None:
            self._chosen = torch.arange(items)
        else:
            self._chosen = selector.data_tensor.flatten().nonzero().flatten()
            items = len(self._chosen)
        for blob, source in zip(top, blobs, strict=True):
            blob.reshape(items, *source.shape[1:])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Pick."""
        assert self._chosen is not None
        for blob, source in zip(top, bottom, strict=False):
            blob.data_tensor = source.data_tensor.index_select(0, self._chosen)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradients back to where the items were, 0 for all others."""
        if propagate_down[-1]:
            raise Refusal(
                f"was asked for the gradient of {self.layer_param.bottom[-1]}, which selects and has none: leave out "
                "force_backward, and propagate_down: true there"
            )
        assert self._chosen is not None
        for blob, source, asked in zip(top, bottom, propagate_down, strict=False):
            if asked:
                zeros = torch.zeros_like(source.data_tensor)
                source.diff_tensor = zeros.index_copy(0, self._chosen, blob.diff_tensor)


@layer("BatchReindex")
class BatchReindex(StandardLayer):
    """Items of the first bottom, by the indices in the second: any of them, any number of times."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Pick."""
        self._check_indices(bottom)
        top[0].data_tensor = bottom[0].data_tensor.index_select(0, bottom[1].data_tensor.long())

    def _check_indices(self, bottom: Sequence[Blob]) -> None:
        """On a GPU PyTorch itself stops at a wrong one, without this layer's name, as looking would cost time."""
        indices = bottom[1].data_tensor
        if indices.is_cuda:
            return
        wrong = indices[~((indices >= 0) & (indices < bottom[0].shape[0]))]
        if len(wrong):
            raise Refusal(
                f"has {float(wrong[0]):g} among its indices, {self.layer_param.bottom[1]}: they must be from 0 to "
                f"{bottom[0].shape[0] - 1}, as there are {bottom[0].shape[0]} items"
            )

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The sum of the gradients of an item's copies."""
        if propagate_down[1]:
            raise Refusal(
                f"was asked for the gradient of {self.layer_param.bottom[1]}, which are indices and have none: leave "
                "out force_backward, and propagate_down: true there"
            )
        if propagate_down[0]:
            zeros = torch.zeros_like(bottom[0].data_tensor)
            bottom[0].diff_tensor = zeros.index_add(0, bottom[1].data_tensor.long(), top[0].diff_tensor)
