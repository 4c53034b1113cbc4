"""Work in place that Caffe refuses, or that ruins what other layers still need."""

from collections.abc import Iterator

from batchbrew.lint.backward_pass import runs_backward, spoiled_reads
from batchbrew.lint.backward_reads import backward_reads
from batchbrew.lint.blob_flow import is_in_place
from batchbrew.lint.registry import Fault, NetCase, net_rule

OWN_TOP = "give it a top of its own"


@net_rule(
    "in-place-type",
    "error",
    "a layer in place that does not work in place",
    why="It writes over its bottom before it has done with it.",
)
def in_place_type(case: NetCase) -> Iterator[Fault]:
    """The table is batchbrew/lint/backward_reads.py, measured type by type.

    Surprises in real Caffe: Power in place loses the gradient that comes to it, even with power: 1; Eltwise SUM
    and MAX in place forget their first bottom; Clip, Log, BNLL read their overwritten bottom.
    """
    for view in case.views:
        backward = runs_backward(view) if view.training else [False] * len(view.layers)
        for number, layer in enumerate(view.layers):
            reads = backward_reads(layer)
            if reads is None or not is_in_place(layer):
                continue
            kind = f"{layer.type} works in place on {layer.top[0]}"
            if reads.in_place == "refused":
                yield Fault(layer, kind, OWN_TOP, why="Caffe ends at it: this type does not work in place.")
            elif reads.in_place == "wrong_output":
                yield Fault(layer, kind, OWN_TOP)
            elif reads.in_place == "wrong_gradient" and backward[number]:
                yield Fault(
                    layer,
                    kind,
                    OWN_TOP,
                    why="Its gradient is wrong in place: what it is computed from is gone.",
                )


@net_rule(
    "in-place-shared",
    "error",
    "a layer in place on a blob that another layer before it reads",
    why="Caffe ends at it: Top blob produced by multiple sources.",
)
def in_place_shared(case: NetCase) -> Iterator[Fault]:
    """Real Caffe gives each of several readers its own name by a Split, and the top is then no more the bottom.

    Readers after the layer in place are fine: they get its result, as in the released ResNet-50, whose
    layer_64_1_conv_expand reads layer_64_1_conv1 after bn2, scale2 and relu2.
    """
    for view in case.views:
        for number, layer in enumerate(view.layers):
            if not is_in_place(layer) or view.flow.bottoms[number][0] is None:
                continue
            others = view.flow.sharers(number)
            if others:
                names = ", ".join(dict.fromkeys(view.layers[other].name for other in others))
                yield Fault(layer, f"it writes over {layer.top[0]}, which {names} reads too", OWN_TOP)


@net_rule(
    "in-place-gradient",
    "error",
    "a layer in place that writes over what another's backward pass reads",
    why="Caffe says nothing, and trains with wrong gradients.",
)
def in_place_gradient(case: NetCase) -> Iterator[Fault]:
    """Checked with numerical gradients in real Caffe: tests/lint/test_in_place.py.

    Only the net that learns is looked at, and in it only layers that a gradient comes to.
    """
    for view in case.views:
        if not view.training:
            continue
        for spoiled in spoiled_reads(view):
            reader, overwriter = view.layers[spoiled.layer], view.layers[spoiled.overwriter]
            yield Fault(
                overwriter,
                f"it writes over {spoiled.content.blob}, which the backward pass of {reader.name} "
                f"({reader.type}) reads",
                OWN_TOP,
            )


@net_rule(
    "in-place-stale",
    "error",
    "a layer that reads a blob whose memory was written over under another name",
    why="Flatten, Reshape and Split hand their bottom's memory on: who works there in place changes the bottom too.",
)
def in_place_stale(case: NetCase) -> Iterator[Fault]:
    """Real Caffe: Flatten a blob, ReLU in place on the result, and later readers of the blob see it rectified."""
    for view in case.views:
        for number, content in view.flow.stale:
            overwriter = view.layers[content.overwriters[0]]
            yield Fault(
                overwriter,
                f"through {overwriter.top[0]} it writes over {content.blob}, which {view.layers[number].name} "
                "reads afterwards",
                OWN_TOP,
            )


@net_rule(
    "flatten-of-view",
    "error",
    "a Flatten of what a Reshape has made, or a Concat or Slice of one blob",
    why="What was reshaped gets no gradient, as Flatten gives its bottom other memory for it: nothing below learns.",
)
def flatten_of_view(case: NetCase) -> Iterator[Fault]:
    """Reshape shares its bottom's gradient once, in its set-up, Flatten its top's in each backward pass (ShareDiff in
    reshape_layer.cpp, flatten_layer.cpp): the one undoes the other. Layers in place between change nothing of it.
    """
    for view in case.views:
        if not view.training:
            continue
        backward = runs_backward(view)
        for number, layer in enumerate(view.layers):
            maker = view.flow.view_of(number) if layer.type == "Flatten" and backward[number] else None
            if maker is not None and view.layers[maker].type != "Flatten" and backward[maker]:
                reshaped = view.layers[maker]
                yield Fault(
                    layer,
                    f"no gradient comes from {layer.top[0]} through {reshaped.name} to {reshaped.bottom[0]}",
                    f"let it flatten {reshaped.bottom[0]} itself, or write a Reshape in its place",
                )
