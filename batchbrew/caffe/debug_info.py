"""What `debug_info: true` logs: the mean size of every blob, parameter and gradient (net.cpp)."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from batchbrew.caffe import engine_log
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import Layer
from batchbrew.caffe.net import Net


class DebugInfo:
    """Logs the passes of a net while it is `on`; it waits for the device after every layer."""

    def __init__(self, net: Net, on: bool = False) -> None:
        self.on = on
        self._net = net
        self._names = list(net._blob_names)
        net.before_forward(self._if_on(self._inputs))
        net.after_forward(self._if_on(self._forward))
        net.after_backward(self._if_on(self._backward))

    def after_pass(self) -> None:
        """Log the norms of all parameters, after a backward pass."""
        if self.on and engine_log.is_on():
            blobs = [each.blob for each in self._net.learnable_params]
            data = [blob.data_tensor for blob in blobs]
            diff = [blob.diff_tensor for blob in blobs]
            engine_log.error(
                "net.cpp:721",
                f"    [Backward] All net params (data, diff): L1 norm = ({_norm(data, 1)}, {_norm(diff, 1)}); "
                f"L2 norm = ({_norm(data, 2)}, {_norm(diff, 2)})",
            )

    def _if_on(self, tell: Callable[[int, Layer], None]) -> Callable[[int], None]:
        def callback(index: int) -> None:
            if self.on and engine_log.is_on():
                tell(index, self._net.layers[index])

        return callback

    def _inputs(self, index: int, layer: Layer) -> None:
        if index == 0:
            for name in self._net.inputs:
                size = _mean_size(self._net.blobs[name].data_tensor)
                engine_log.info("net.cpp:580", f"    [Forward] Input {name} data: {size}")

    def _forward(self, index: int, layer: Layer) -> None:
        for name, blob in self._named(self._net._top_ids(index)):
            size = _mean_size(blob.data_tensor)
            engine_log.info("net.cpp:593", f"    [Forward] Layer {layer.name}, top blob {name} data: {size}")
        for i, blob in enumerate(layer.blobs):
            size = _mean_size(blob.data_tensor)
            name = _parameter_name(layer, i)
            engine_log.info(
                "net.cpp:605", f"    [Forward] Layer {layer.name}, param blob {name} data: {size}"
            )

    def _backward(self, index: int, layer: Layer) -> None:
        flow = self._net.gradient_flow
        if not flow.layers[index]:
            return
        bottoms = self._named(self._net._bottom_ids(index))
        for (name, blob), asked in zip(bottoms, flow.bottoms[index], strict=True):
            if asked:
                size = _mean_size(blob.diff_tensor)
                engine_log.info(
                    "net.cpp:621", f"    [Backward] Layer {layer.name}, bottom blob {name} diff: {size}"
                )
        for i, (blob, asked) in enumerate(zip(layer.blobs, layer.param_propagate_down, strict=True)):
            if asked:
                size = _mean_size(blob.diff_tensor)
                engine_log.info(
                    "net.cpp:632", f"    [Backward] Layer {layer.name}, param blob {i} diff: {size}"
                )

    def _named(self, ids: list[int]) -> Iterator[tuple[str, Blob]]:
        blobs = list(self._net._blobs)
        return ((self._names[i], blobs[i]) for i in ids)


def _parameter_name(layer: Layer, index: int) -> str:
    specs = layer.layer_param.param
    return str(specs[index].name) if index < len(specs) and specs[index].name else str(index)


def _mean_size(tensor: Tensor) -> str:
    return engine_log.number(float(tensor.abs().sum() / tensor.numel()))


def _norm(tensors: list[Tensor], order: int) -> str:
    norms = [torch.linalg.vector_norm(tensor, order) for tensor in tensors]
    return engine_log.number(float(torch.linalg.vector_norm(torch.stack(norms), order))) if norms else "0"
