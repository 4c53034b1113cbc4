"""Embed: a look-up table."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb


@layer("Embed")
class Embed(StandardLayer):
    """For each number of the bottom, which is a whole one from 0 to input_dim - 1, that row of the weights.

    On a GPU PyTorch's own assertion ends the process at a number out of range: to look for one would hold it up.
    """

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """Of weights and bias."""
        parameter = self.layer_param.embed_param
        return [parameter.weight_filler, parameter.bias_filler]

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Look up."""
        rows = bottom[0].data_tensor.long()
        if rows.device.type == "cpu":
            self._check(bottom[0].data_tensor, rows)
        y = functional.embedding(rows, self.blobs[0].data_tensor)
        top[0].data_tensor = y + self.blobs[1].data_tensor if len(self.blobs) > 1 else y

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """To the rows that were looked up."""
        if propagate_down[0]:
            raise Refusal(
                "has no gradient for its bottom, which are row numbers: propagate_down: false stops it"
            )
        gradient = top[0].diff_tensor.reshape(-1, top[0].shape[-1])
        if self.param_propagate_down[0]:
            rows = bottom[0].data_tensor.long().flatten()
            zeros = gradient.new_zeros(self.blobs[0].shape)
            self.blobs[0].add_diff(zeros.index_add_(0, rows, gradient))
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            self.blobs[1].add_diff(gradient.sum(0))

    def _check(self, numbers: Tensor, rows: Tensor) -> None:
        """Raises Refusal at a number that is no row. Caffe reads whatever is there in memory."""
        rows_there = self.layer_param.embed_param.input_dim
        wrong = (rows < 0) | (rows >= rows_there)
        if wrong.any():
            first = float(numbers[wrong][0])
            raise Refusal(
                f"finds {first:g} in its bottom {self.layer_param.bottom[0]}, but its table has {rows_there} rows: "
                f"numbers are from 0 to {rows_there - 1} (input_dim)"
            )
