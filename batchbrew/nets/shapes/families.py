"""The rules of all layer types: importing a family puts its types into the registry."""

from batchbrew.nets.shapes import elementwise, learned, losses, rearranging, recurrent, sources, windows
from batchbrew.nets.shapes.registry import LAYER_TYPES

__all__ = ["LAYER_TYPES"]

_ = (elementwise, learned, losses, rearranging, recurrent, sources, windows)  # imported for their registering
