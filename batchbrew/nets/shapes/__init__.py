"""Shapes of all blobs and parameters of any BVLC Caffe network, worked out without an engine."""

from batchbrew.nets.shapes.network import LayerShapes, NetworkShapes, Parameter, infer_shapes, layer_shapes
from batchbrew.nets.shapes.registry import (
    EmptyBlobError,
    Known,
    Shape,
    ShapeError,
    SourceImage,
    UnknownInputError,
)

__all__ = [
    "EmptyBlobError",
    "Known",
    "LayerShapes",
    "NetworkShapes",
    "Parameter",
    "Shape",
    "ShapeError",
    "SourceImage",
    "UnknownInputError",
    "infer_shapes",
    "layer_shapes",
]
