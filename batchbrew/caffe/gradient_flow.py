"""Which layers take part in a backward pass, and which of their bottoms get a gradient (Net::Init of net.cpp)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchbrew.caffe.layer import Layer
from batchbrew.caffe.wiring import Wiring


@dataclass
class GradientFlow:
    """By layer: does it run backward, and for each of its bottoms, does that get a gradient?"""

    layers: list[bool] = field(default_factory=list)
    bottoms: list[list[bool]] = field(default_factory=list)


class FlowBuilder:
    """Follows the layers of a net while they are made, then looks back from its losses."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._blob_needs = [False] * len(wiring.blob_names)
        self.flow = GradientFlow()

    def add(self, index: int, layer: Layer) -> None:
        """Take up the layer of node `index`: a parameter that learns, or a bottom that gets a gradient, needs it."""
        node = self._wiring.nodes[index]
        asked = list(node.layer_param.propagate_down)
        needed = [self._blob_needs[blob] for blob in node.bottoms]
        self.flow.bottoms.append(asked or needed)
        specs = node.layer_param.param  # the prototxt's; BatchNorm changes its own, where Caffe does not look
        layer.param_propagate_down = [
            bool(specs[i].lr_mult) if i < len(specs) else True for i in range(len(layer.blobs))
        ]
        needs = any(needed) or any(layer.param_propagate_down)
        self.flow.layers.append(needs)
        if needs:
            for blob in node.tops:
                self._blob_needs[blob] = True

    def finish(self, layers: Sequence[Layer], loss_weights: Sequence[float], force: bool) -> GradientFlow:
        """Drop what no loss depends on, then, with `force_backward`, take all back."""
        names = self._wiring.blob_names
        under_loss: set[str] = set()
        without: set[str] = set()  # blobs whose gradient nobody asks for
        for index in reversed(range(len(layers))):
            node = self._wiring.nodes[index]
            counts = any(loss_weights[blob] or names[blob] in under_loss for blob in node.tops)
            if self.flow.layers[index] and all(names[blob] in without for blob in node.tops):
                self.flow.layers[index] = False
                self.flow.bottoms[index] = [False] * len(node.bottoms)
            if counts:
                under_loss.update(names[blob] for blob in node.bottoms)
            else:
                self.flow.layers[index] = False
                self.flow.bottoms[index] = [False] * len(node.bottoms)
            without.update(
                names[blob]
                for blob, asked in zip(node.bottoms, self.flow.bottoms[index], strict=True)
                if not asked
            )
        if force:
            self._force(layers)
        return self.flow

    def _force(self, layers: Sequence[Layer]) -> None:
        for index, layer in enumerate(layers):
            self.flow.layers[index] = True
            self.flow.bottoms[index] = [
                asked or layer.allow_force_backward(i) for i, asked in enumerate(self.flow.bottoms[index])
            ]
            layer.param_propagate_down = [True] * len(layer.blobs)
