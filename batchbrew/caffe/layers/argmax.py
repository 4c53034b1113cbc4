"""ArgMax: where the largest numbers are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.forward_only import ForwardOnly
from batchbrew.caffe.layer import layer
from batchbrew.nets.shapes.axes import canonical_axis


@layer("ArgMax")
class ArgMax(ForwardOnly):
    """The `top_k` largest, in falling order: their indices, or with `out_max_val` and an `axis` their values.

    Without `axis` it is of each image as a whole, N×1×k, and with `out_max_val` both, N×2×k. Of equal numbers the one
    with the higher index comes first.
    """

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Indices are exact up to 2^24, as float32 has it."""
        parameter, x = self.layer_param.argmax_param, bottom[0].data_tensor
        if parameter.HasField("axis"):
            axis = canonical_axis(bottom[0].shape, parameter.axis)
            indices = _largest(x, axis, parameter.top_k)
            top[0].data_tensor = x.gather(axis, indices) if parameter.out_max_val else indices.float()
            return
        rows = x.reshape(bottom[0].shape[0], -1)
        indices = _largest(rows, 1, parameter.top_k)
        found = [indices.float(), rows.gather(1, indices)] if parameter.out_max_val else [indices.float()]
        top[0].data_tensor = torch.stack(found, 1).reshape(top[0].shape)


def _largest(x: Tensor, axis: int, count: int) -> Tensor:
    """Indices of the `count` largest along `axis`, of equals the last one first."""
    backwards = x.flip(axis)
    if count == 1:
        found = backwards.argmax(axis, keepdim=True)  # torch takes the first of equals
    else:
        found = backwards.sort(dim=axis, descending=True, stable=True).indices.narrow(axis, 0, count)
    return x.shape[axis] - 1 - found
