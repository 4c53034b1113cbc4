"""Cases of the chains of layers that the torch engine computes at once: see batchbrew/caffe/fusing.

BatchNorm, Scale and ReLU in a row, in the same place or not; BatchNorm and Scale of the data before a convolution;
chains that an Eltwise joins. Beside them stand chains that only look like these: a leaky ReLU, a Scale along another
axis, a blob between that somebody else reads, too.
"""

from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.parity.case import Case
from batchbrew.parity.random_nets import append_inputs, append_loss, net_case
from batchbrew.parity.specimens.chance import maybe
from batchbrew.proto import caffe_pb2 as pb

LEAST_NUMBERS = 24  # of a channel: a BatchNorm over fewer magnifies rounding
POINTS = 2  # axes of a batch of them
_OPERATIONS = [*[pb.EltwiseParameter.SUM] * 3, pb.EltwiseParameter.MAX]


def chain_case(kind: str, seed: int, number: int) -> Case:
    """Images or points, normalised as data or behind a layer, one or two chains, and a loss."""
    random = Random(f"{seed} {kind} {number}")
    phase = random.choice([pb.TRAIN, pb.TRAIN, pb.TEST])
    shape = shape_of_data(random)
    net = pb.NetParameter(name="chains", force_backward=maybe(random, 0.2))
    blob = append_inputs(net, shape)
    if maybe(random, 0.6):
        blob = chain(random, net, blob, "of_data", rectified=maybe(random, 0.2), trained=maybe(random, 0.8))
    blob = learned(random, net, blob, "first", shape)
    for index in range(random.randint(1, 2)):
        blob = _joined(random, net, blob, f"join{index}", shape) if maybe(random, 0.4) else blob
        blob = chain(random, net, blob, f"chain{index}", rectified=maybe(random, 0.7), trained=True)
        if maybe(random, 0.5):
            blob = learned(random, net, blob, f"next{index}", shape)
    append_loss(random, net, blob)
    shapes = {"data": shape, "label": shape[:1]}
    return net_case(random, kind, seed, number, net, phase, shapes, random.randint(1, 3))


def shape_of_data(random: Random) -> Shape:
    if maybe(random, 0.2):
        return random.randint(LEAST_NUMBERS, 2 * LEAST_NUMBERS), random.randint(2, 6)
    size = random.randint(5, 10)
    return random.randint(2, 5), random.choice([3, 4, 16]), size, size + random.randint(0, 3)


def learned(
    random: Random, net: pb.NetParameter, blob: str, name: str, shape: Shape, outputs: int | None = None
) -> str:
    """A convolution of images, an inner product of points."""
    outputs = outputs or random.choice([4, 8, 16])
    if len(shape) == POINTS:
        layer = net.layer.add(name=name, type="InnerProduct", bottom=[blob], top=[name])
        layer.inner_product_param.num_output = outputs
        return name
    layer = net.layer.add(name=name, type="Convolution", bottom=[blob], top=[name])
    parameter = layer.convolution_param
    parameter.num_output = outputs
    parameter.kernel_size.append(random.choice([1, 3]))
    parameter.pad.append(parameter.kernel_size[0] // 2)
    parameter.bias_term = maybe(random, 0.5)
    if maybe(random, 0.2):
        layer.param.add(lr_mult=random.choice([0, 1]))
    return name


def chain(
    random: Random, net: pb.NetParameter, blob: str, name: str, *, rectified: bool, trained: bool
) -> str:
    """BatchNorm, mostly with a Scale; the top of each is its bottom or another. `trained`: does the Scale learn?"""
    in_place = blob != "data" and maybe(random, 0.4)
    top = blob if in_place else f"{name}_bn"
    norm = net.layer.add(name=f"{name}_bn", type="BatchNorm", bottom=[blob], top=[top])
    if maybe(random, 0.2):
        norm.batch_norm_param.use_global_stats = maybe(random, 0.5)
    if maybe(random, 0.85):
        between, top = top, top if maybe(random, 0.6) else f"{name}_scale"
        scale = net.layer.add(name=f"{name}_scale", type="Scale", bottom=[between], top=[top])
        scale.scale_param.bias_term = maybe(random, 0.7)
        if not trained or maybe(random, 0.1):
            rates = [0, 0] if not trained else [random.choice([0, 1]), random.choice([0, 1])]
            scale.param.extend(
                pb.ParamSpec(lr_mult=rate) for rate in rates[: 1 + scale.scale_param.bias_term]
            )
        if maybe(random, 0.05):
            scale.scale_param.axis = 0
    if rectified:
        between, top = top, top if maybe(random, 0.6) else f"{name}_relu"
        relu = net.layer.add(name=f"{name}_relu", type="ReLU", bottom=[between], top=[top])
        if maybe(random, 0.1):
            relu.relu_param.negative_slope = 0.1
        if between != top and maybe(random, 0.2):  # somebody else reads what lies between
            net.layer.add(name=f"{name}_sum", type="Eltwise", bottom=[between, top], top=[f"{name}_sum"])
            return f"{name}_sum"
    return top


def _joined(random: Random, net: pb.NetParameter, blob: str, name: str, shape: Shape) -> str:
    """Two branches, each learned and normalised, put together again."""
    branches = []
    for branch in (f"{name}a", f"{name}b"):
        top = learned(random, net, blob, branch, shape, outputs=4)
        branches.append(chain(random, net, top, branch, rectified=maybe(random), trained=True))
    layer = net.layer.add(name=name, type="Eltwise", bottom=branches, top=[name])
    layer.eltwise_param.operation = random.choice(_OPERATIONS)
    return name
