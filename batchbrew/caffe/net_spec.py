"""Nets written as Python expressions: `n.conv1 = L.Convolution(n.data, kernel_size=3)`.

`layers` (usually imported as L) has a function for every layer type, whatever its name; its keywords are the
fields of the layer's own parameter message (`kernel_size=3`), those of LayerParameter (`name=`, `loss_weight=`),
whole messages (`convolution_param=dict(...)`, `param=[dict(lr_mult=1), dict(lr_mult=2)]`), and `ntop`, the
number of outputs, and `in_place`. `params` (P) has the constants of the messages: `P.Pooling.MAX`.

What is not named gets a name of its type and a count: Convolution1, Convolution2, ...
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from batchbrew.caffe.assigning import assign_proto, has_field
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

__all__ = ["Function", "Layers", "NetSpec", "Parameters", "Top", "assign_proto", "layers", "param_name_dict",
           "params", "to_proto"]  # fmt: skip

Names = dict[Any, str]


class NotATop(InputError, TypeError):
    """A layer's input that is no output of another layer."""


def param_name_dict() -> dict[str, str]:
    """Message types of layers' own parameters, and their fields: `{"Convolution": "convolution", ...}`.

    The last of two fields of one type is it, as in pycaffe; both lack their "Parameter" and "_param".
    """
    fields = pb.LayerParameter.DESCRIPTOR.fields
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in fields
        if field.name.endswith("_param") and field.message_type is not None
    }


class Top:
    """Output number `n` of the layer `fn`."""

    def __init__(self, fn: "Function", n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> pb.NetParameter:
        """The net of all layers that this output needs."""
        return to_proto(self)


class Function:
    """A layer: its type, its inputs (tops of other layers) and its parameters."""

    def __init__(self, type_name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
        for index, top in enumerate(inputs):
            if not isinstance(top, Top):
                # word for word as pycaffe has it: its own tests read it to the end
                raise NotATop(f"{type_name} input {index} is not a Top (type is {type(top)})")
        self.type_name = type_name
        self.inputs: tuple[Top, ...] = inputs
        self.params = params
        self.ntop: int = params.pop("ntop", 1)
        self.in_place: bool = params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def to_layer(self, bottoms: list[str], names: Names, counts: Counter[str]) -> pb.LayerParameter:
        """The layer in protobuf, reading the blobs `bottoms`; names that are missing in `names` are made."""
        layer = pb.LayerParameter(type=self.type_name, bottom=bottoms)
        if self.in_place:
            layer.top.extend(bottoms)
        else:
            layer.top.extend(self._name_of(top, names, counts) for top in self.tops)
        # a layer is called like its first output, or, in place, like that would be
        unnamed = self not in names and self.tops
        layer.name = self._name_of(self.tops[0] if unnamed else self, names, counts)
        own_name = _PARAM_NAMES.get(self.type_name)
        own = None if own_name is None else getattr(layer, f"{own_name}_param")
        for key, value in self.params.items():
            message = own if own is not None and has_field(own, key) else layer
            assign_proto(message, key, value)
        return layer

    def _name_of(self, key: "Top | Function", names: Names, counts: Counter[str]) -> str:
        if key not in names:
            counts[self.type_name] += 1
            names[key] = f"{self.type_name}{counts[self.type_name]}"
        return names[key]


def to_proto(*tops: Top | Function) -> pb.NetParameter:
    """The net of all layers that are needed to compute `tops`; every blob gets a made name."""
    return _net(tops, {})


class NetSpec:
    """Tops under the names that they are assigned to: `n.conv1 = ...` or `n["conv1"] = ...`."""

    tops: dict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name == "tops" or name.startswith("__"):  # asked by copy, pickle, inspect: no blob is called so
            raise AttributeError(name)
        return self.tops[name]

    def __setitem__(self, key: str, value: Any) -> None:
        self.tops[key] = value

    def __getitem__(self, item: str) -> Any:
        return self.tops[item]

    def to_proto(self) -> pb.NetParameter:
        """The net of all assigned tops and what they need; where one has two names, the later counts."""
        for name, top in self.tops.items():
            if not isinstance(top, Top | Function):
                raise InputError(
                    f"{name} is not a Top (type is {type(top)}): assign a layer's output, each of several to a "
                    "name of its own"
                )
        return _net(tuple(self.tops.values()), {top: name for name, top in self.tops.items()})


def _net(tops: tuple[Top | Function, ...], names: Names) -> pb.NetParameter:
    layers: dict[Function, pb.LayerParameter] = {}
    counts: Counter[str] = Counter()
    for top in tops:
        _add_with_inputs(top.fn if isinstance(top, Top) else top, layers, names, counts)
    return pb.NetParameter(layer=layers.values())


def _add_with_inputs(
    function: Function, layers: dict[Function, pb.LayerParameter], names: Names, counts: Counter[str]
) -> None:
    """Inputs come before what reads them. No recursion: a net may be deeper than Python's stack."""
    waiting = [function]
    while waiting:
        current = waiting[-1]
        missing = next((top.fn for top in current.inputs if top.fn not in layers), None)
        if missing is not None:
            waiting.append(missing)
            continue
        waiting.pop()
        if current not in layers:
            bottoms = [layers[top.fn].top[top.n] for top in current.inputs]
            layers[current] = current.to_layer(bottoms, names, counts)


class Layers:
    """A function for each layer type, made when asked for: `layers.ReLU(top, in_place=True)`."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # asked by copy, inspect and the import system: no layer type
            raise AttributeError(name)

        def layer_fn(*args: Any, **kwargs: Any) -> Any:
            """The layer's output; a tuple if `ntop` is above 1, the Function itself if it is 0."""
            function = Function(name, args, kwargs)
            if function.ntop == 0:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        return layer_fn


class _Constants:
    def __init__(self, name: str) -> None:
        self._message = f"{name}Parameter"

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(pb, self._message), name)


class Parameters:
    """The constants of each layer's parameters: `params.Pooling.MAX` is PoolingParameter's MAX."""

    def __getattr__(self, name: str) -> _Constants:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Constants(name)


_PARAM_NAMES = param_name_dict()
layers = Layers()
params = Parameters()
