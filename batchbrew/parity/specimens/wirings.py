"""Random networks whose point is how layers are connected: in place, shared, read twice, for one phase."""

from collections.abc import Iterator
from random import Random

from batchbrew.parity.specimens.chance import maybe
from batchbrew.proto import caffe_pb2 as pb

ELEMENTWISE = (
    "ReLU",
    "Dropout",
    "Sigmoid",
    "AbsVal",
    "Split",
    "Scale",
    "BatchNorm",
    "InnerProduct",
    "Reshape",
)


def wirings(seed: int, count: int) -> Iterator[tuple[str, pb.NetParameter]]:
    """Networks of blobs N×4; about half of them cannot be built."""
    for number in range(count):
        yield f"wiring {number}", wiring(Random(f"{seed} wiring {number}"))


def wiring(random: Random) -> pb.NetParameter:
    net = pb.NetParameter(name="wiring")
    shape = pb.BlobShape(dim=[2, 4])
    if maybe(random):
        net.input.extend(["a", "b"])
        net.input_shape.extend([shape, shape])
    else:
        inputs = pb.InputParameter(shape=[shape])
        net.layer.add(name="input", type="Input", top=["a", "b"], input_param=inputs)
    blobs = ["a", "b"]
    for number in range(random.randint(1, 6)):
        add_layer(random, net, blobs, f"layer{number}")
    return net


def add_layer(random: Random, net: pb.NetParameter, blobs: list[str], name: str) -> None:
    if maybe(random, 0.25):
        kind = random.choice(["Eltwise", "Concat"])
        bottoms = [random.choice(blobs) for _ in range(2)]
    else:
        kind = random.choice(ELEMENTWISE)
        bottoms = [random.choice(blobs[-2:])]
    top = name
    if maybe(random, 0.35):
        top = bottoms[0]
    elif maybe(random, 0.04):
        top = random.choice(blobs)
    elif maybe(random, 0.03):
        bottoms[0] = "nowhere"
    layer = net.layer.add(name=name, type=kind, bottom=bottoms, top=[top])
    if kind == "Concat":
        layer.concat_param.axis = 0
    if kind == "InnerProduct":
        layer.inner_product_param.num_output = 4
        share_parameters(random, layer)
    if kind == "Reshape":
        layer.reshape_param.shape.dim.extend([0, -1])
    if maybe(random, 0.1):
        layer.loss_weight.append(random.choice([0, 1, 1]))
    if maybe(random, 0.1):
        rules = layer.include if maybe(random, 0.5) else layer.exclude
        rules.add(phase=random.choice([pb.TRAIN, pb.TEST]))
    blobs.append(top)


def share_parameters(random: Random, layer: pb.LayerParameter) -> None:
    if maybe(random, 0.6):
        layer.param.add(name="w")
        if maybe(random, 0.2):
            layer.param[0].lr_mult = random.choice([1, 2])
        if maybe(random, 0.2):
            layer.param.add(name=random.choice(["b", "b", "w"]))
        if maybe(random, 0.1):
            layer.param.add()
