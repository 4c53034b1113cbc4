"""Blobs that are not made, made twice or not read; names that are used twice; what Caffe would not build."""

import difflib
from collections.abc import Iterator

from batchbrew.errors import InputError
from batchbrew.lint.backward_pass import LEARNED_BLOBS
from batchbrew.lint.registry import Fault, NetCase, net_rule
from batchbrew.lint.views import LOSSES, View
from batchbrew.nets.shapes import ShapeError, UnknownInputError, infer_shapes
from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.proto import caffe_pb2 as pb

PHASES: dict[int, str] = {pb.TRAIN: "TRAIN", pb.TEST: "TEST"}
ENDS = (
    *LOSSES,
    "Accuracy",
    "ArgMax",
    "HDF5Output",
    "Silence",
)  # a top that nobody reads is what they are for


@net_rule(
    "unknown-blob",
    "error",
    "a bottom that no layer before it makes",
    why="Caffe ends at it: Unknown bottom blob.",
)
def unknown_blob(case: NetCase) -> Iterator[Fault]:
    """Real Caffe: "Unknown bottom blob 'nothing' (layer 'fc', bottom index 0)"."""
    told: set[tuple[str, str]] = set()
    for view in case.views:
        for number, blob in view.flow.unknown:
            if (key := (view.layers[number].name, blob)) in told:
                continue
            told.add(key)
            phase = PHASES[view.state.phase]
            yield Fault(
                view.layers[number], f"no layer before it makes {blob} in {phase}", _where(case, view, blob)
            )


def _where(case: NetCase, view: View, blob: str) -> str:
    """Who makes the blob elsewhere, or has one of nearly that name."""
    if any(blob in layer.top for layer in view.layers):
        return f"move it behind the layer that makes {blob}"
    if any(blob in layer.top for layer in case.file.net.layer):
        return f"the layer that makes {blob} is not there in {PHASES[view.state.phase]}: mend its include or exclude"
    tops = list(dict.fromkeys(top for layer in view.layers for top in layer.top))
    near = difflib.get_close_matches(blob, tops, n=1)
    return f"did you mean {near[0]}?" if near else "add the layer that makes it, or read another blob"


@net_rule(
    "blob-twice",
    "error",
    "two layers that make the same blob, the second not in place",
    why="Caffe ends at it: Top blob produced by multiple sources.",
)
def blob_twice(case: NetCase) -> Iterator[Fault]:
    """Real Caffe takes a top for in place only if the bottom of the same number has its name.

    Eltwise with bottoms a, b and top b ends the process too.
    """
    for view in case.views:
        for clash in view.flow.clashes:
            maker = view.layers[clash.maker].name
            yield Fault(
                view.layers[clash.layer],
                f"its top {clash.blob} is made by {maker} already",
                "give one of the two tops another name",
            )


@net_rule(
    "unread-blob",
    "note",
    "a top that nobody reads",
    why="Caffe takes it for an output of the net: it is logged at every display, and trains nothing.",
)
def unread_blob(case: NetCase) -> Iterator[Fault]:
    """Losses and measures end nets, and so does the last layer. Each is told of the first phase that has it."""
    told: set[tuple[str, ...]] = set()
    for view in case.views:
        for number, layer in enumerate(view.layers[:-1]):
            if layer.type in ENDS or any(layer.loss_weight):
                continue
            unread = [top.blob for top in view.flow.tops[number] if not top.readers]
            key = (layer.name, *unread)
            if unread and key not in told and (layer.type != "Pooling" or len(unread) == len(layer.top)):
                told.add(key)
                yield Fault(
                    layer,
                    f"nobody reads {', '.join(unread)} in {PHASES[view.state.phase]}",
                    "read it, take the layer out, or end the blob in a Silence layer",
                )


@net_rule(
    "layer-name",
    "error",
    "two layers of one name",
    why="Weights are found by layer name: the first layer of a name gets the weights of the last, the others none.",
)
def layer_name(case: NetCase) -> Iterator[Fault]:
    """Real Caffe trains them, saves both, and on loading copies both into the first: the second keeps random weights.

    With different shapes it ends: "Cannot copy param 0 weights from layer 'x'; shape mismatch".
    """
    for view in case.views:
        first: dict[str, pb.LayerParameter] = {}
        for layer in view.layers:
            earlier = first.setdefault(layer.name, layer)
            if earlier is layer:
                continue
            learned = any(other.type in (*LEARNED_BLOBS, "BatchNorm") for other in (earlier, layer))
            yield Fault(
                layer,
                f"{earlier.name or '(nothing)'} is the name of a layer before it too, of type {earlier.type}",
                "give each layer a name of its own",
                severity="error" if learned else "warning",
                why="" if learned else "pycaffe and tools that find layers by name see only one of them.",
            )


@net_rule(
    "layer-type",
    "warning",
    "a layer type that Caffe 1.0 does not have",
    why="Caffe ends at it, unless it is a fork that has the type: Unknown layer type.",
)
def layer_type(case: NetCase) -> Iterator[Fault]:
    """Types are those of BVLC Caffe 1.0 as Debian built it."""
    for layer in case.file.net.layer:
        if layer.type not in LAYER_TYPES:
            near = difflib.get_close_matches(layer.type, LAYER_TYPES, n=1)
            yield Fault(
                layer,
                f"its type is {layer.type!r}",
                f"did you mean {near[0]}?" if near else "a Caffe that has it",
            )


@net_rule(
    "shapes",
    "error",
    "shapes that do not fit, and whatever else Caffe would not build",
    why="Caffe ends when it builds the net.",
)
def shapes(case: NetCase) -> Iterator[Fault]:
    """What batchbrew.nets.shapes refuses; nothing is said where the prototxt does not tell a shape."""
    for view in case.views:
        if view.flow.unknown or view.flow.clashes:
            continue
        try:
            infer_shapes(_net_of(view), view.state.phase)
        except UnknownInputError:
            continue
        except ShapeError as error:
            layer, what = _named_layer(view, str(error))
            yield Fault(layer, what, "change the layer, or what comes before it")
        except InputError:
            continue  # a type that is not known


def _net_of(view: View) -> pb.NetParameter:
    net = pb.NetParameter(layer=view.layers)
    for layer in net.layer:
        del layer.include[:]
        del layer.exclude[:]
    return net


def _named_layer(view: View, text: str) -> tuple[pb.LayerParameter | None, str]:
    """The layer that an error of the shapes names, and the rest of it."""
    for layer in view.layers:
        prefix = f"layer {layer.name} ({layer.type}): "
        if text.startswith(prefix):
            return layer, text.removeprefix(prefix)
        if text.startswith(f"the output of layer {layer.name} would be "):
            return layer, text
    return None, text
