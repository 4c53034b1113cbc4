"""What every layer is: Caffe's interface of setup, reshape, forward and backward; and the registry of types.

A layer of ours, and a Python layer of a user, are written alike. Standard layers have their shapes, and the checks of
their parameters, from `batchbrew.nets.shapes`, where every Caffe type has its rule.
"""

import difflib
from collections.abc import Callable, Sequence
from math import prod
from typing import TypeVar

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob, BlobVec
from batchbrew.caffe.fillers import fill
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.caffe.uncopied import Uncopied
from batchbrew.errors import InputError
from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.nets.shapes.network import answer_for, check_parameters, check_tops
from batchbrew.nets.shapes.registry import Answer, Known, Refusal, Shape, by
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.blobs import blob_array


class LayerError(InputError, RuntimeError):
    """A layer that cannot be built or run; the text names it. pycaffe's callers catch RuntimeError."""


class Layer(Uncopied):
    """The base of all layers, and `caffe.Layer`: what a Python layer inherits from.

    `setup` is called once, `reshape` after it and before every forward pass. `forward` assigns the tops' data,
    `backward` the diff of those bottoms for which `propagate_down` is true, and adds to those of its parameters for
    which `param_propagate_down` is.
    """

    is_loss = False
    # Does the backward pass read the data of the bottoms, and of the tops? (Only shapes, or what it kept, is no.)
    reads_bottoms_backward = True
    reads_tops_backward = True
    param_str = ""  # of Python layers: what their prototxt says in python_param

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        self.layer_param = layer_param
        self.phase: int = layer_param.phase
        self.blobs = BlobVec()
        self.param_propagate_down: list[bool] = []
        self.factor_type = mode.factor_type()

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(self.layer_param.name)

    @property
    def type(self) -> str:
        """The layer's type, as prototxts write it."""
        return str(self.layer_param.type)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Make parameters."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes, which follow from those of the bottoms."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Assign the tops' data. Raises NotImplementedError where a layer does not say how."""
        raise NotImplementedError(f"layer {self.name} ({self.type}) has no forward")

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Assign the bottoms' diff, from the tops'."""
        raise NotImplementedError(f"layer {self.name} ({self.type}) has no backward")

    def forget(self) -> None:
        """Let go of what forward kept for backward."""

    def allow_force_backward(self, index: int) -> bool:
        """Does `force_backward` of a net ask for the diff of bottom `index`?"""
        return True

    def loss_weights(self, tops: int) -> list[float]:
        """What each top counts in the net's loss."""
        weights = list(self.layer_param.loss_weight)
        if not weights:
            weights = [1.0 if self.is_loss and index == 0 else 0.0 for index in range(tops)]
        return weights


class StandardLayer(Layer):
    """A layer of Caffe's own: its shapes and the checks of its parameters are those of its rule."""

    def __init__(self, layer_param: pb.LayerParameter) -> None:
        super().__init__(layer_param)
        self.is_loss = LAYER_TYPES[layer_param.type].loss
        self._seen: list[list[Shape]] | None = None  # shapes for which the rule was asked

    def answer(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Answer:
        """What the rule says of these bottoms. Raises Refusal."""
        return answer_for(self.layer_param, [blob.shape for blob in bottom], len(top), Known())

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """How each parameter is filled at first; None, or too few of them, leaves zeros."""
        return ()

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Make the parameters that the rule names, from the layer's own blobs or by its fillers."""
        shapes = self.answer(bottom, top).parameters
        if shapes:
            check_parameters(shapes)
            MemoryLimit().check(sum(map(prod, shapes)))
        fillers = [*self.fillers(), *[None] * len(shapes)]
        given = self.layer_param.blobs
        if given and len(given) != len(shapes):
            raise Refusal(f"has {len(given)} blobs in the prototxt, but {len(shapes)} parameters")
        for index, shape in enumerate(shapes):
            self.blobs.add_blob(*shape)
            filler = fillers[index]
            if given:
                numbers = blob_array(given[index], f"blob {index} of layer {self.name}")
                if numbers.size != self.blobs[index].count:
                    raise Refusal(f"has {numbers.size} numbers in its blob {index}, which is {shape}")
                self.blobs[index].data[...] = numbers.reshape(shape)
            elif filler is not None:
                fill(self.blobs[index], filler)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Ask the rule, once for each combination of shapes."""
        if self._seen == _shapes(bottom, top, self.blobs):
            return
        answer = self.answer(bottom, top)
        check_tops(self.layer_param, answer.tops)
        if top:
            self._check_bottoms(bottom)
        self._check_parameters(answer)
        for blob, shape in zip(top, answer.tops, strict=True):
            if any(blob is other for other in bottom) and prod(shape) != blob.count:
                raise Refusal(
                    f"cannot work in place: it makes {by(shape)} of {by(blob.shape)}; name its top otherwise"
                )
            blob.reshape(*shape)
        self.reshaped(bottom, top)
        self._seen = _shapes(bottom, top, self.blobs)

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """What else depends on shapes alone; the tops have theirs already."""

    def _check_bottoms(self, bottom: Sequence[Blob]) -> None:
        for name, blob in zip(self.layer_param.bottom, bottom, strict=True):
            if not blob.count:
                raise Refusal(f"has nothing to compute with: its bottom {name} is {by(blob.shape)}")

    def _check_parameters(self, answer: Answer) -> None:
        for index, (blob, shape) in enumerate(zip(self.blobs, answer.parameters, strict=False)):
            if blob.shape != tuple(shape):
                raise Refusal(
                    f"has parameter {index} of shape {blob.shape}, but its bottoms ask for {tuple(shape)}"
                )


def _shapes(*groups: Sequence[Blob]) -> list[list[Shape]]:
    return [[blob.shape for blob in group] for group in groups]


Kind = TypeVar("Kind", bound=type[Layer])
LAYERS: dict[str, Callable[[pb.LayerParameter], Layer]] = {}


def layer(*types: str) -> Callable[[Kind], Kind]:
    """Register a class for the layer types `types`."""

    def register(kind: Kind) -> Kind:
        for name in types:
            assert name not in LAYERS, f"{name} is registered twice"
            LAYERS[name] = kind
        return kind

    return register


def make_layer(layer_param: pb.LayerParameter) -> Layer:
    """The layer that `layer_param` describes, not yet set up. Raises LayerError for an unknown type."""
    kind = LAYERS.get(layer_param.type)
    if kind is None:
        near = difflib.get_close_matches(layer_param.type, LAYERS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(LAYERS))}"
        raise LayerError(
            f"layer {layer_param.name} has type {layer_param.type!r}, which this engine does not have: {hint}"
        )
    return kind(layer_param)


def layer_type_list() -> list[str]:
    """All types of layers, sorted."""
    return sorted(LAYERS)


def explained(layer: Layer, refusal: Exception) -> LayerError:
    """`refusal` with the name of the layer."""
    return LayerError(f"layer {layer.name} ({layer.type}): {refusal}")
