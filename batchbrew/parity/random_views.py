"""Cases of nets in which one memory has several names, and layers work in place there.

Flatten, Reshape, Split, and Concat and Slice of a single blob, hand the memory of their bottom on. What a layer
writes in place under one name changes what backward passes read under another: a ReLU's mask after a Sigmoid in
place on a Flatten of it, say. Real Caffe computes wrong gradients there without a word; ours are to be the same ones.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from random import Random

from batchbrew.nets.shapes import Shape, infer_shapes
from batchbrew.parity.case import Case
from batchbrew.parity.random_chains import LEAST_NUMBERS, chain, learned, shape_of_data
from batchbrew.parity.random_nets import append_inputs, append_loss, appended, net_case
from batchbrew.parity.specimens.chance import maybe
from batchbrew.proto import caffe_pb2 as pb

IN_PLACE = (
    *["ReLU"] * 3, "PReLU", "ELU", "Sigmoid", "TanH", "BNLL", "Power", "Clip", "Swish", "Dropout", "Scale",
    "Bias", "BatchNorm", "Softmax",
)  # fmt: skip
VIEWS = ("Flatten", "Reshape", "Reshape", "Concat", "Slice", "Split")
# (random, net, blob, name, shape of the blob) -> the top
Piece = Callable[[Random, pb.NetParameter, str, str, Shape], str]


def view_case(kind: str, seed: int, number: int) -> Case:
    """Something learned, then views, chains and layers in place by chance, and a loss."""
    random = Random(f"{seed} {kind} {number}")
    phase = random.choice([pb.TRAIN, pb.TRAIN, pb.TRAIN, pb.TEST])
    shape = shape_of_data(random)
    net = pb.NetParameter(name="views", force_backward=maybe(random, 0.5))
    blob = learned(random, net, append_inputs(net, shape), "first", shape)
    for index in range(random.randint(3, 7)):
        build = random.choice(_PIECES)
        piece = partial(build, random, net, blob, f"l{index}", _shape_of(net, blob, phase))
        blob = appended(net, phase, blob, piece)
    append_loss(random, net, blob)
    return net_case(
        random, kind, seed, number, net, phase, {"data": shape, "label": shape[:1]}, random.randint(1, 2)
    )


def _shape_of(net: pb.NetParameter, blob: str, phase: int) -> Shape:
    return [step.tops[blob] for step in infer_shapes(net, phase).layers if blob in step.tops][-1]


def _in_place(random: Random, net: pb.NetParameter, blob: str, name: str, shape: Shape) -> str:
    layer = net.layer.add(name=name, type=random.choice(IN_PLACE), bottom=[blob], top=[blob])
    if maybe(random, 0.15):
        layer.top[0] = name
    if layer.type == "ReLU" and maybe(random, 0.2):
        layer.relu_param.negative_slope = random.choice([0.1, -0.5])
    if layer.type == "Dropout":
        layer.dropout_param.dropout_ratio = 0  # what it draws is not the same in two engines
    if layer.type == "Power":
        layer.power_param.power, layer.power_param.scale, layer.power_param.shift = 2, 0.5, 0.25
    if layer.type == "Clip":
        layer.clip_param.min, layer.clip_param.max = -0.5, 0.7
    return str(layer.top[0])


def _view(random: Random, net: pb.NetParameter, blob: str, name: str, shape: Shape) -> str:
    layer = net.layer.add(name=name, type=random.choice(VIEWS), bottom=[blob], top=[name])
    if layer.type == "Reshape":
        layer.reshape_param.shape.dim.extend([0, -1] if maybe(random) else [0] * len(shape))
    return name


def _chain(random: Random, net: pb.NetParameter, blob: str, name: str, shape: Shape) -> str:
    if prod(shape) < LEAST_NUMBERS * shape[1]:
        return _in_place(random, net, blob, name, shape)
    return chain(random, net, blob, name, rectified=maybe(random, 0.8), trained=True)


def _branches(random: Random, net: pb.NetParameter, blob: str, name: str, shape: Shape) -> str:
    """Two views of one blob, one or both worked on in place, and their sum: the second writes over the first."""
    tops = [f"{name}a", f"{name}b"]
    split = maybe(random)
    if split:
        net.layer.add(name=f"{name}_split", type="Split", bottom=[blob], top=tops)
    for top in tops:
        if not split:
            view = net.layer.add(name=top, type="Reshape", bottom=[blob], top=[top])
            view.reshape_param.shape.dim.extend([0] * len(shape))
        build = random.choice([_in_place, _chain])
        tops[tops.index(top)] = build(random, net, top, f"{top}_on", shape)
    net.layer.add(name=name, type="Eltwise", bottom=tops, top=[name])
    return name


_PIECES: tuple[Piece, ...] = (*[_in_place] * 5, *[_view] * 4, *[_chain] * 3, _branches, learned)
