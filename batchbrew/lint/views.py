"""A network as Caffe builds it for one phase, and the files in which it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from batchbrew.lint.blob_flow import BlobFlow
from batchbrew.lint.outline import Outline
from batchbrew.nets.state import layers_in_state
from batchbrew.proto import caffe_pb2 as pb

LOSSES = (
    "ContrastiveLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss", "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss", "SoftmaxWithLoss",
)  # fmt: skip
IMAGE_SOURCES = ("Data", "ImageData")


@dataclass(frozen=True)
class State:
    """What Caffe's include and exclude rules ask for."""

    phase: int
    level: int = 0
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NetFile:
    """A net and the file in which it is written."""

    path: str
    net: pb.NetParameter
    outline: Outline


@dataclass(frozen=True, eq=False)
class View:
    """A net in one state."""

    file: NetFile
    state: State

    @cached_property
    def layers(self) -> Sequence[pb.LayerParameter]:
        """In the order in which they run."""
        state = self.state
        return layers_in_state(self.file.net, state.phase, level=state.level, stages=state.stages)

    @property
    def training(self) -> bool:
        """Is this the net that learns?"""
        return self.state.phase == pb.TRAIN

    @cached_property
    def flow(self) -> BlobFlow:
        """Which layer reads what from which."""
        return BlobFlow(self.layers)

    @property
    def image_layers(self) -> list[pb.LayerParameter]:
        """The Data and ImageData layers."""
        return [layer for layer in self.layers if layer.type in IMAGE_SOURCES]

    @property
    def has_loss(self) -> bool:
        """Is there something to learn from?"""
        return any(is_loss(layer) for layer in self.layers)


def is_loss(layer: pb.LayerParameter) -> bool:
    """Does a gradient start at this layer?"""
    if layer.loss_weight:
        return any(layer.loss_weight)
    return layer.type in LOSSES


def views_of(file: NetFile) -> list[View]:
    """The states in which a net that nobody says more of is worth looking at.

    A net without any loss is for deployment, and is looked at in TEST. One in which only one phase has a layer
    that brings something in is looked at in that phase.
    """
    both = [View(file, State(phase)) for phase in (pb.TRAIN, pb.TEST)]
    if not any(view.has_loss for view in both):
        phase = file.net.state.phase if file.net.HasField("state") else pb.TEST
        return [View(file, State(phase))]
    fed = [view for view in both if any(not layer.bottom for layer in view.layers)]
    return fed or both
