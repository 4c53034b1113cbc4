"""Net: layers in order, the blobs between them, and passes over them forward and backward."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchbrew.caffe import batches, mode, weight_files
from batchbrew.caffe.blob import Blob, BlobVec
from batchbrew.caffe.gradient_flow import FlowBuilder, GradientFlow
from batchbrew.caffe.layer import Layer, LayerError, explained, make_layer
from batchbrew.caffe.lifetimes import Lifetimes
from batchbrew.caffe.memory_limit import MemoryLimit, exhausted, is_exhaustion
from batchbrew.caffe.net_log import NetLog
from batchbrew.caffe.parameters import Learnable, ParameterTable
from batchbrew.caffe.passes import LayerCallback, Passes
from batchbrew.caffe.uncopied import Uncopied
from batchbrew.caffe.wiring import wire
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.files import is_there
from batchbrew.proto.text import read_prototxt

Array = NDArray[np.float32]


class Net(Uncopied):
    """A network as pycaffe has it: `Net(prototxt, phase, level=0, stages=None, weights=None)`, or in the old order
    `Net(prototxt, weights, phase)`.

    Raises InputError for files that cannot be read and nets that cannot be built, naming the layer.
    """

    def __init__(
        self,
        network_file: str | Path,
        *arguments: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | Path | None = None,
    ) -> None:
        given = _arguments(arguments, phase=phase, level=level, stages=stages, weights=weights)
        param = _read(Path(network_file))
        weights = given["weights"]
        if weights is not None and not is_there(Path(weights)):  # before the net is built, as pycaffe
            raise NetFileError(f"{weights} is not there: a caffemodel is expected")
        param.state.phase, param.state.level = given["phase"], given["level"]
        param.state.stage.extend(given["stages"] or ())  # beside those of the file
        self._init(param)
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, param: pb.NetParameter) -> "Net":
        """The net that `param` describes, in the phase, at the level and stages of its state."""
        net = cls.__new__(cls)
        net._init(param)
        return net

    def _init(self, param: pb.NetParameter) -> None:
        if not (param.layer or param.layers):
            raise InputError(f"network {param.name!r} has no layers: give the prototxt of a network")
        state = param.state
        wiring = wire(param, state.phase, state.level, state.stage)
        self.name = wiring.name
        self.phase = state.phase
        self.layers: list[Layer] = []
        self._wiring = wiring
        self._blobs = [Blob() for _ in wiring.blob_names]
        self._bottoms = [[self._blobs[i] for i in node.bottoms] for node in wiring.nodes]
        self._tops = [[self._blobs[i] for i in node.tops] for node in wiring.nodes]
        self._blob_loss_weights = [0.0] * len(self._blobs)
        self._loss_weights: list[list[float]] = []  # by layer; the numbers that count are in the tops' diff
        self._parameters = ParameterTable()
        flow, limit, told = FlowBuilder(wiring), MemoryLimit(), NetLog(param, wiring)
        for index, node in enumerate(wiring.nodes):
            layer = make_layer(node.layer_param)
            self.layers.append(layer)
            told.creating(index)
            with self._explaining(index):
                self._set_up(index, layer)
                limit.add(self._tops[index], layer.blobs)
            flow.add(index, layer)
            weights = [self._blob_loss_weights[i] for i in node.tops]
            told.made(layer, self._tops[index], weights, self._parameters)
        self._flow = flow.finish(self.layers, self._blob_loss_weights, param.force_backward)
        self._passes = Passes(
            self.layers, self._bottoms, self._tops, self._loss_weights, self._flow, self._explaining
        )
        self._lifetimes: dict[
            bool, Lifetimes
        ] = {}  # by whether layers run at once; found when first asked for
        told.done(self._flow)

    def _set_up(self, index: int, layer: Layer) -> None:
        bottom, top = self._bottoms[index], self._tops[index]
        layer.setup(bottom, top)
        layer.reshape(bottom, top)
        weights = layer.loss_weights(len(top))
        if len(weights) != len(top):
            raise Refusal(f"has {len(weights)} loss_weight for {len(top)} tops: give one for each")
        self._loss_weights.append(weights)
        for blob_id, blob, weight in zip(self._wiring.nodes[index].tops, top, weights, strict=True):
            self._blob_loss_weights[blob_id] = weight
            if weight:  # a loss layer's backward pass finds its weight in the diff of its top, as in Caffe
                blob.diff_tensor = torch.full(blob.shape, weight, device=mode.device())
        self._parameters.add(layer)

    # What pycaffe shows of a net

    @property
    def blobs(self) -> "OrderedDict[str, Blob]":
        """The blobs by name, from the first layer to the last."""
        return OrderedDict(zip(self._wiring.blob_names, self._blobs, strict=True))

    @property
    def blob_loss_weights(self) -> "OrderedDict[str, float]":
        """What each blob counts in the loss."""
        return OrderedDict(zip(self._wiring.blob_names, self._blob_loss_weights, strict=True))

    @property
    def params(self) -> "OrderedDict[str, BlobVec]":
        """The parameters of each layer that has some."""
        return OrderedDict((layer.name, layer.blobs) for layer in self.layers if layer.blobs)

    @property
    def layer_dict(self) -> "OrderedDict[str, Layer]":
        """The layers by name."""
        return OrderedDict((layer.name, layer) for layer in self.layers)

    @property
    def inputs(self) -> list[str]:
        """The blobs of Input layers."""
        return [self._wiring.blob_names[index] for index in self._inputs]

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads, sorted."""
        return [self._wiring.blob_names[index] for index in self._outputs]

    @property
    def top_names(self) -> "OrderedDict[str, list[str]]":
        """By layer, the names of its tops."""
        return self._names_by_layer(self._top_ids)

    @property
    def bottom_names(self) -> "OrderedDict[str, list[str]]":
        """By layer, the names of its bottoms."""
        return self._names_by_layer(self._bottom_ids)

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    @property
    def _blob_names(self) -> list[str]:
        return list(self._wiring.blob_names)

    @property
    def _inputs(self) -> list[int]:
        return list(self._wiring.inputs)

    @property
    def _outputs(self) -> list[int]:
        return list(self._wiring.outputs)

    def _bottom_ids(self, layer: int) -> list[int]:
        return list(self._wiring.nodes[layer].bottoms)

    def _top_ids(self, layer: int) -> list[int]:
        return list(self._wiring.nodes[layer].tops)

    def _names_by_layer(self, ids: Callable[[int], list[int]]) -> "OrderedDict[str, list[str]]":
        names = self._wiring.blob_names
        return OrderedDict(
            (layer.name, [names[i] for i in ids(index)]) for index, layer in enumerate(self.layers)
        )

    @property
    def learnable_params(self) -> list[Learnable]:
        """The parameters that a solver updates, those that layers share once."""
        return self._parameters.learnable

    @property
    def gradient_flow(self) -> GradientFlow:
        """Which layers and bottoms take part in a backward pass."""
        return self._flow

    # Passes

    def forward_pass(self, start: int = 0, end: int | None = None, keep: bool = True) -> Tensor:
        """Run layers `start` to `end`, both included; the sum of the losses on the way, a number on the device.

        With `keep` false blobs lose their data as soon as the net does not need them any more; its inputs and outputs
        do not.
        """
        indices = self._range(start, len(self.layers) - 1 if end is None else end)
        return self._passes.forward(indices, None if keep else self._lifetimes_of_blobs())

    def backward_pass(
        self,
        start: int | None = None,
        end: int = 0,
        keep: bool = True,
        learned: Callable[[range], object] | None = None,
    ) -> None:
        """Run layers `start` down to `end`, both included, backward.

        `learned` is called behind each, or several at once, with the numbers of those that have their gradients.
        """
        indices = self._range(end, len(self.layers) - 1 if start is None else start)
        self._passes.backward(indices, None if keep else self._lifetimes_of_blobs(), learned)

    def _lifetimes_of_blobs(self) -> Lifetimes:
        at_once = self._passes.at_once
        if at_once not in self._lifetimes:
            self._lifetimes[at_once] = self._passes.lifetimes(self._wiring, self._blobs)
        return self._lifetimes[at_once]

    def _forward(self, start: int, end: int) -> float:
        return float(self.forward_pass(start, end))

    def _backward(self, start: int, end: int) -> None:
        self.backward_pass(start, end)

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: Any,
    ) -> dict[str, Array]:
        """Fill the input blobs with `inputs`, if given, and run the layers named `start` to `end`.

        Returns the data of the net's outputs, or of `end`'s tops, and of `blobs`, as views.
        """
        first = 0 if start is None else self._index_of(start)
        last = len(self.layers) - 1 if end is None else self._index_of(end)
        wanted = {*(self.outputs if end is None else self.top_names[end]), *(blobs or ())}
        batches.put(self, inputs, self.inputs, "data")
        self._forward(first, last)
        by_name = self.blobs
        return {name: by_name[name].data for name in sorted(wanted)}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **outputs: Any,
    ) -> dict[str, Array]:
        """Fill the diff of the output blobs with `outputs`, if given, and run back from layer `start` to `end`.

        Returns the diff of the net's inputs, or of `end`'s bottoms, and of `diffs`, as views.
        """
        first = len(self.layers) - 1 if start is None else self._index_of(start)
        last = 0 if end is None else self._index_of(end)
        wanted = {*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())}
        batches.put(self, outputs, self.outputs, "diff")
        self._backward(first, last)
        by_name = self.blobs
        return {name: by_name[name].diff for name in sorted(wanted)}

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Any) -> dict[str, Array]:
        """`forward` for any number of images, in batches of the net's size."""
        return batches.forward_all(self, blobs, inputs)

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **arrays: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """`forward` and `backward` for any number of images, in batches of the net's size."""
        return batches.forward_backward_all(self, blobs, diffs, arrays)

    def _batch(self, blobs: dict[str, Any]) -> Iterator[dict[str, Any]]:
        return batches.batch(self, blobs)

    def reshape(self) -> None:
        """Bring all blobs to the shapes that follow from those of the inputs."""
        for index, layer in enumerate(self.layers):
            with self._explaining(index):
                layer.reshape(self._bottoms[index], self._tops[index])

    def clear_param_diffs(self) -> None:
        """Set the gradients of all parameters to zero."""
        for learnable in self.learnable_params:
            learnable.blob.clear_diff()

    def before_forward(self, callback: LayerCallback) -> None:
        """Have `callback(index)` called before each layer runs forward."""
        self._passes.callbacks.setdefault("before_forward", []).append(callback)

    def after_forward(self, callback: LayerCallback) -> None:
        """Have `callback(index)` called after each layer ran forward."""
        self._passes.callbacks.setdefault("after_forward", []).append(callback)

    def before_backward(self, callback: LayerCallback) -> None:
        """Have `callback(index)` called before each layer runs backward."""
        self._passes.callbacks.setdefault("before_backward", []).append(callback)

    def after_backward(self, callback: LayerCallback) -> None:
        """Have `callback(index)` called after each layer ran backward."""
        self._passes.callbacks.setdefault("after_backward", []).append(callback)

    # Weights

    def copy_from(self, path: str | Path) -> None:
        """Take the parameters of the layers of the same names from a .caffemodel, or a .caffemodel.h5."""
        weight_files.copy_from(self, path)

    def share_with(self, other: "Net") -> None:
        """Have the parameters of the layers of the same names in `other`: one memory for both."""
        weight_files.share_with(self, other)

    def save(self, path: str | Path) -> None:
        """Write the net with its parameters to a .caffemodel."""
        weight_files.save(self, path)

    def save_hdf5(self, path: str | Path, write_diff: bool = False) -> None:
        """Write the parameters, and with `write_diff` their gradients, to an HDF5 file as Caffe does."""
        weight_files.save_hdf5(self, path, write_diff)

    def load_hdf5(self, path: str | Path) -> None:
        """Take the parameters from an HDF5 file."""
        weight_files.load_hdf5(self, path)

    def to_param(self, write_diff: bool = False) -> pb.NetParameter:
        """The net with its parameters, as Caffe writes it to a .caffemodel: all layers, those of splits too."""
        return weight_files.to_param(self, write_diff)

    def is_borrowed(self, layer: str, index: int) -> bool:
        """Does parameter `index` of `layer` belong to another layer, with which it is shared by name?"""
        return self._parameters.is_borrowed(layer, index)

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Give the MemoryData layer that the net begins with its images (N×C×H×W) and labels (N, or N×1×1×1)."""
        if labels.ndim == 1:
            labels = np.ascontiguousarray(labels).reshape(-1, 1, 1, 1)
        self._set_input_arrays(data, labels)

    def _set_input_arrays(self, data: Array, labels: Array) -> None:
        take = getattr(self.layers[0], "set_arrays", None)
        if take is None:
            raise LayerError("set_input_arrays is for nets whose first layer is a MemoryData")
        with self._explaining(0):
            take(data, labels)

    # Errors

    def _index_of(self, layer: str) -> int:
        names = self._layer_names
        if layer not in names:
            raise LayerError(f"network {self.name!r} has no layer {layer!r}; it has {', '.join(names)}")
        return names.index(layer)

    def _range(self, first: int, last: int) -> range:
        if first < 0 or last >= len(self.layers):
            raise LayerError(
                f"layers {first} to {last}: network {self.name!r} has {len(self.layers)}, from 0 on"
            )
        return range(first, last + 1)

    @contextmanager
    def _explaining(self, index: int) -> Iterator[None]:
        """Put the layer's name before what a rule or a layer refuses, and where memory does not suffice; what else a
        Python layer raises goes through.
        """
        try:
            yield
        except Refusal as refusal:
            raise explained(self.layers[index], refusal) from None
        except (MemoryError, RuntimeError) as error:
            if not is_exhaustion(error):
                raise
            raise explained(self.layers[index], Refusal(exhausted())) from error


class NetFileError(InputError, RuntimeError):
    """A net's file that cannot be read, or weights that are not there; pycaffe's callers catch RuntimeError."""


def _read(path: Path) -> pb.NetParameter:
    try:
        return read_prototxt(path, pb.NetParameter)
    except InputError as error:
        raise NetFileError(str(error)) from None


def _arguments(arguments: tuple[Any, ...], **named: Any) -> dict[str, Any]:
    """All arguments by name, whichever of pycaffe's two orders they came in."""
    order = ["weights", "phase"] if arguments and isinstance(arguments[0], str | Path) else ["phase"]
    order += [name for name in ("level", "stages", "weights") if name not in order]
    if len(arguments) > len(order):
        raise TypeError(f"Net takes a prototxt and up to {len(order)} arguments more, not {len(arguments)}")
    for name, value in zip(order, arguments, strict=False):
        named[name] = value
    if named["phase"] not in (pb.TRAIN, pb.TEST):
        raise InputError(f"Net needs a phase, caffe.TRAIN or caffe.TEST, not {named['phase']!r}")
    if isinstance(named["stages"], str):
        raise InputError(f"stages is a list of names, not {named['stages']!r}")
    return named
