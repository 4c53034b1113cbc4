"""Cases of random networks: several layers stacked, and small ones whose point is how they are connected."""

from collections.abc import Callable
from functools import partial
from random import Random

import numpy as np

from batchbrew.nets.shapes import NetworkShapes, Shape, ShapeError, infer_shapes
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.exercises import NORMALISING
from batchbrew.parity.parameters import parameter_values
from batchbrew.parity.specimens.chance import maybe
from batchbrew.parity.specimens.values import Array, integers, usual
from batchbrew.parity.specimens.wirings import wiring
from batchbrew.proto import caffe_pb2 as pb

CLASSES = 5
# In place these read what they have written: what comes of it hangs on the order in which a BLAS adds.
NEVER_IN_PLACE = {"Concat", "Eltwise", "InnerProduct"}
# (random, layer, shape of its bottom) -> nothing: sets the layer's parameters
Setting = Callable[[Random, pb.LayerParameter], None]


def wiring_case(kind: str, seed: int, number: int) -> Case:
    """A wiring; about half of them cannot be built. Where it drops numbers at random, in TEST, in which none are."""
    random = Random(f"{seed} {kind} {number}")
    net = wiring(random)
    for layer in net.layer:
        if layer.type in NEVER_IN_PLACE and layer.top[0] in layer.bottom:
            layer.top[0] = layer.name
        if (
            layer.type in NORMALISING
        ):  # whose answer to a loss_weight is an exact 0, or what rounding makes of it
            layer.ClearField("loss_weight")
    drops = any(layer.type == "Dropout" for layer in net.layer)
    phase = pb.TEST if drops or maybe(random, 0.4) else pb.TRAIN
    net.force_backward = maybe(random, 0.6)
    return net_case(random, kind, seed, number, net, phase, {"a": (2, 4), "b": (2, 4)}, 2)


def stack_case(kind: str, seed: int, number: int) -> Case:
    """An image, some layers one after the other with side branches, and a loss."""
    random = Random(f"{seed} {kind} {number}")
    phase = random.choice([pb.TRAIN, pb.TEST])
    images, size = random.randint(3, 6), random.randint(9, 16)
    shape = (images, random.choice([2, 3, 4]), size, size + random.randint(0, 3))
    net = pb.NetParameter(name="stack", force_backward=maybe(random, 0.5))
    blob = append_inputs(net, shape)
    for index in range(random.randint(3, 8)):
        build = random.choice(_PIECES)
        blob = appended(net, phase, blob, partial(build, random, net, blob, f"l{index}"))
    append_loss(random, net, blob)
    return net_case(
        random, kind, seed, number, net, phase, {"data": shape, "label": (images,)}, random.randint(1, 2)
    )


def append_inputs(net: pb.NetParameter, shape: Shape) -> str:
    """Data of that shape, which is the new blob, and a label for each of them."""
    inputs = pb.InputParameter(shape=[pb.BlobShape(dim=shape), pb.BlobShape(dim=shape[:1])])
    net.layer.add(name="input", type="Input", top=["data", "label"], input_param=inputs)
    return "data"


def appended(net: pb.NetParameter, phase: int, blob: str, append: Callable[[], str]) -> str:
    """The new blob of what `append` appends: layers that can be built. If they cannot, they go, and it is `blob`."""
    before = len(net.layer)
    top = append()
    try:
        infer_shapes(net, phase)
    except ShapeError:
        del net.layer[before:]
        return blob
    return top


def append_loss(random: Random, net: pb.NetParameter, blob: str) -> None:
    """Scores and their loss."""
    layer = net.layer.add(name="scores", type="InnerProduct", bottom=[blob], top=["scores"])
    layer.inner_product_param.num_output = CLASSES
    loss = random.choice(["SoftmaxWithLoss", "SoftmaxWithLoss", "HingeLoss"])
    net.layer.add(name="loss", type=loss, bottom=["scores", "label"], top=["loss"])
    if not net.force_backward and maybe(random, 0.7):
        net.layer.add(name="accuracy", type="Accuracy", bottom=["scores", "label"], top=["accuracy"])


def _convolution(random: Random, net: pb.NetParameter, blob: str, name: str, shared: str = "") -> str:
    layer = net.layer.add(name=name, type="Convolution", bottom=[blob], top=[name])
    parameter = layer.convolution_param
    parameter.num_output = random.choice([2, 4, 6])
    parameter.kernel_size.append(random.choice([1, 3, 3, 5]))
    parameter.pad.append(parameter.kernel_size[0] // 2)
    if maybe(random):
        parameter.stride.append(2)
    parameter.bias_term = maybe(random, 0.6)
    if maybe(random):
        layer.param.add(lr_mult=random.choice([0, 1]))
    return name


def _deconvolution(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    layer = net.layer.add(name=name, type="Deconvolution", bottom=[blob], top=[name])
    layer.convolution_param.num_output = random.choice([2, 4])
    layer.convolution_param.kernel_size.append(2)
    layer.convolution_param.stride.append(random.choice([1, 2]))
    return name


def _pooling(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    layer = net.layer.add(name=name, type="Pooling", bottom=[blob], top=[name])
    layer.pooling_param.pool = random.choice([pb.PoolingParameter.MAX, pb.PoolingParameter.AVE])
    layer.pooling_param.kernel_size = random.choice([2, 3])
    layer.pooling_param.stride = random.choice([1, 2])
    layer.pooling_param.pad = random.choice([0, 0, 1])
    return name


def _neuron(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    kind = random.choice(
        ["ReLU", "ReLU", "PReLU", "ELU", "Sigmoid", "TanH", "BNLL", "AbsVal", "Swish", "Power"]
    )
    in_place = kind in ("ReLU", "PReLU", "ELU", "Sigmoid", "TanH") and blob != "data" and maybe(random, 0.6)
    top = blob if in_place else name
    layer = net.layer.add(name=name, type=kind, bottom=[blob], top=[top])
    if kind == "ReLU" and maybe(random):
        layer.relu_param.negative_slope = 0.1
    if kind == "Power":
        layer.power_param.power, layer.power_param.scale, layer.power_param.shift = 2, 0.5, 0.25
    return top


def _normalised(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    top = blob if blob != "data" and maybe(random, 0.5) else name
    bn = net.layer.add(name=f"{name}_bn", type="BatchNorm", bottom=[blob], top=[top])
    if maybe(random):
        bn.batch_norm_param.use_global_stats = maybe(random, 0.5)
    if maybe(random):
        bn.batch_norm_param.moving_average_fraction = 0.9
    if maybe(random, 0.7):
        scale = net.layer.add(name=f"{name}_scale", type="Scale", bottom=[top], top=[top])
        scale.scale_param.bias_term = maybe(random, 0.7)
    if maybe(random, 0.5):
        net.layer.add(name=f"{name}_relu", type="ReLU", bottom=[top], top=[top])
    return top


def _lrn(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    layer = net.layer.add(name=name, type="LRN", bottom=[blob], top=[name])
    layer.lrn_param.local_size, layer.lrn_param.alpha = random.choice([3, 5]), random.choice([1e-2, 0.5])
    layer.lrn_param.norm_region = random.choice(pb.LRNParameter.NormRegion.values())
    return name


def _joined(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    """Two convolutions of one blob, sometimes with the same weights, put together again."""
    kind = random.choice(["Eltwise", "Eltwise", "Concat"])
    branches = [f"{name}a", f"{name}b"]
    shares = maybe(random)
    for branch in branches:
        layer = net.layer.add(name=branch, type="Convolution", bottom=[blob], top=[branch])
        layer.convolution_param.num_output = 4
        layer.convolution_param.kernel_size.append(3)
        layer.convolution_param.pad.append(1)
        if shares:
            layer.param.add(name=f"{name}_weights")
    if maybe(random, 0.5):
        net.layer.add(name=f"{name}_relu", type="ReLU", bottom=branches[:1], top=branches[:1])
    layer = net.layer.add(name=name, type=kind, bottom=branches, top=[name])
    if kind == "Eltwise":
        layer.eltwise_param.operation = random.choice(pb.EltwiseParameter.EltwiseOp.values())
    return name


def _shortcut(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    layer = net.layer.add(name=f"{name}_branch", type="Scale", bottom=[blob], top=[f"{name}_branch"])
    layer.scale_param.bias_term = True
    layer = net.layer.add(name=name, type="Eltwise", bottom=[f"{name}_branch", blob], top=[name])
    if maybe(random, 0.5):
        layer.eltwise_param.coeff.extend([1, -0.5])
    return name


def _cut_and_joined(random: Random, net: pb.NetParameter, blob: str, name: str) -> str:
    parts = [f"{name}_first", f"{name}_second"]
    net.layer.add(name=f"{name}_slice", type="Slice", bottom=[blob], top=parts)
    net.layer.add(name=name, type="Concat", bottom=parts[::-1], top=[name])
    return name


_PIECES = (
    *[_convolution] * 4,
    _deconvolution,
    *[_pooling] * 2,
    *[_neuron] * 4,
    *[_normalised] * 3,
    _lrn,
    *[_joined] * 2,
    _shortcut,
    _cut_and_joined,
)


def net_case(
    random: Random,
    kind: str,
    seed: int,
    number: int,
    net: pb.NetParameter,
    phase: int,
    shapes: dict[str, Shape],
    count: int,
) -> Case:
    """The case of a net of several layers; `shapes` are those of its inputs, `count` is how many passes it has."""
    generator = np.random.default_rng(random.getrandbits(64))
    try:
        built = infer_shapes(net, phase)
    except ShapeError:
        built = None
    draws = {"label": integers(CLASSES)}
    passes = []
    for _ in range(count):
        data = {name: draws.get(name, usual)(generator, shape) for name, shape in shapes.items()}
        diffs = _diffs(built, generator) if built is not None and net.force_backward else {}
        passes.append(Pass(data, diffs, clear=maybe(random, 0.7)))
    parameters = parameter_values(built, generator) if built else {}
    return Case(kind, seed, number, net, phase, passes, parameters, several_layers=True)


def _diffs(built: NetworkShapes, generator: np.random.Generator) -> dict[str, Array]:
    """Random gradients of the net's outputs, losses apart."""
    outputs: dict[str, Shape] = {}
    for step in built.layers:
        for bottom in step.layer.bottom:
            outputs.pop(bottom, None)
        lossy = step.layer.loss_weight or step.layer.type.endswith(("Loss", "Accuracy"))
        outputs.update({} if lossy else dict(step.tops))
    return {name: usual(generator, shape) for name, shape in outputs.items()}
