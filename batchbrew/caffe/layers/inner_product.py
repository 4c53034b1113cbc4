"""InnerProduct: every output from all inputs."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.layers.products import times_transposed
from batchbrew.caffe.product import Product
from batchbrew.nets.shapes.axes import canonical_axis
from batchbrew.proto import caffe_pb2 as pb


@layer("InnerProduct")
class InnerProduct(StandardLayer):
    """y = x·Wᵀ + b, where x is everything from `axis` on; with `transpose` W is stored the other way round."""

    reads_tops_backward = False

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """Of weights and bias."""
        parameter = self.layer_param.inner_product_param
        return [parameter.weight_filler, parameter.bias_filler]

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """One matrix product."""
        x = self._rows(bottom[0])
        weights = self._weights().to(x.dtype)
        y = times_transposed(x, weights)
        if len(self.blobs) > 1:
            y += self.blobs[1].data_tensor.to(x.dtype)
        top[0].data_tensor = y.reshape(top[0].shape)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Gradients of weights, bias and inputs."""
        x = self._rows(bottom[0])
        gradient = top[0].lasting_diff.to(x.dtype).reshape(-1, top[0].shape[-1])
        if self.param_propagate_down[0]:
            transposed = self.layer_param.inner_product_param.transpose
            weights = Product(x, gradient) if transposed else Product(gradient, x)
            if self.blobs[0].has_no_diff:
                self.blobs[0].defer_diff(weights)
            else:
                self.blobs[0].add_diff(weights())
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            self.blobs[1].add_diff(gradient.sum(0, dtype=torch.float32))
        if propagate_down[0]:
            down = times_transposed(gradient, self._weights().to(x.dtype).T)
            bottom[0].diff_tensor = down.reshape(bottom[0].shape)

    def _rows(self, bottom: Blob) -> Tensor:
        axis = canonical_axis(bottom.shape, self.layer_param.inner_product_param.axis)
        return bottom.held_lasting_data.to(self.factor_type).reshape(prod(bottom.shape[:axis]), -1)

    def _weights(self) -> Tensor:
        """Outputs × inputs."""
        weights = self.blobs[0].data_tensor
        return weights.T if self.layer_param.inner_product_param.transpose else weights
