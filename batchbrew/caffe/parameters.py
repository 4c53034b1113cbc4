"""A net's parameters: which are learned, at which rates, and which layers share one by name (Net::AppendParam)."""

from dataclasses import dataclass, field

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import Layer
from batchbrew.nets.shapes.registry import Refusal, by
from batchbrew.proto import caffe_pb2 as pb


@dataclass
class Learnable:
    """A parameter that a solver updates, with the layer that has it first."""

    blob: Blob
    layer: Layer
    index: int
    spec: pb.ParamSpec  # lr_mult and decay_mult; layers that share it may add what its owner does not say

    @property
    def lr_mult(self) -> float:
        """What the learning rate is multiplied by for it."""
        return float(self.spec.lr_mult)

    @property
    def decay_mult(self) -> float:
        """What the weight decay is multiplied by for it."""
        return float(self.spec.decay_mult)


@dataclass
class ParameterTable:
    """The learnable parameters in Caffe's order, and by layer name and index those that another layer owns."""

    learnable: list[Learnable] = field(default_factory=list)
    _by_name: dict[str, Learnable] = field(default_factory=dict)
    _borrowed: dict[tuple[str, int], Learnable] = field(default_factory=dict)

    def is_borrowed(self, layer: str, index: int) -> bool:
        """Does parameter `index` of `layer` belong to another layer?"""
        return (layer, index) in self._borrowed

    def owner_of(self, layer: str, index: int) -> Learnable | None:
        """The parameter of another layer that parameter `index` of `layer` is; None if it is its own."""
        return self._borrowed.get((layer, index))

    def add(self, layer: Layer) -> None:
        """Take up the parameters of `layer`. Raises Refusal where they cannot be shared as asked."""
        specs = layer.layer_param.param
        if len(specs) > len(layer.blobs):
            raise Refusal(f"has {len(specs)} param, but only {len(layer.blobs)} parameters")
        for index, blob in enumerate(layer.blobs):
            spec = specs[index] if index < len(specs) else pb.ParamSpec()
            owner = self._by_name.get(spec.name) if spec.name else None
            if owner is None:
                own = pb.ParamSpec()
                own.CopyFrom(spec)
                learnable = Learnable(blob, layer, index, own)
                self.learnable.append(learnable)
                if spec.name:
                    self._by_name[spec.name] = learnable
            else:
                _share(spec, blob, owner)
                self._borrowed[layer.name, index] = owner


def _share(spec: pb.ParamSpec, blob: Blob, owner: Learnable) -> None:
    permissive = pb.ParamSpec.PERMISSIVE in (spec.share_mode, owner.spec.share_mode)
    if blob.count != owner.blob.count if permissive else blob.shape != owner.blob.shape:
        raise Refusal(
            f"its parameter {spec.name!r} is {by(blob.shape)}, but that of layer {owner.layer.name}, with which it is "
            f"shared, is {by(owner.blob.shape)}"
        )
    for rate in ("lr_mult", "decay_mult"):
        if not spec.HasField(rate):
            continue
        if owner.spec.HasField(rate) and getattr(owner.spec, rate) != getattr(spec, rate):
            raise Refusal(
                f"its parameter {spec.name!r} has {rate} {getattr(spec, rate):g}, but {getattr(owner.spec, rate):g} "
                f"in layer {owner.layer.name}, with which it is shared"
            )
        setattr(owner.spec, rate, getattr(spec, rate))
    blob.share_data(owner.blob)
    blob.share_diff(owner.blob)
