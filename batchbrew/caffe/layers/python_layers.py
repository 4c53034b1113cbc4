"""Python: a layer that a user wrote, a class that inherits from caffe.Layer."""

import importlib
import sys
from types import ModuleType

from batchbrew.caffe.layer import LAYERS, Layer, LayerError
from batchbrew.proto import caffe_pb2 as pb


def python_layer(layer_param: pb.LayerParameter) -> Layer:
    """An instance of class `layer` of `module`, as python_param names them; it has `param_str` and `phase`.

    Raises LayerError if there is no such module or class. What the user's code raises goes through.
    """
    parameter = layer_param.python_param
    kind = getattr(_module(layer_param), parameter.layer, None)
    if not isinstance(kind, type) or not issubclass(kind, Layer):
        raise LayerError(
            f"layer {layer_param.name} (Python): module {parameter.module} has no class {parameter.layer} that "
            "inherits from caffe.Layer"
        )
    made = kind(layer_param)
    made.param_str = parameter.param_str
    return made


def _module(layer_param: pb.LayerParameter) -> ModuleType:
    name = layer_param.python_param.module
    if not name or name.startswith("."):
        raise LayerError(f"layer {layer_param.name} (Python): python_param must name a module, not {name!r}")
    if name in sys.modules:
        return sys.modules[name]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise LayerError(
            f"layer {layer_param.name} (Python): there is no module {name}: start from its folder, or name that in "
            "PYTHONPATH"
        ) from None


LAYERS["Python"] = python_layer
