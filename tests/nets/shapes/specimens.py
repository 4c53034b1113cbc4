"""Random layers of every type that needs no file, most of them valid; `specimens(seed, count)` makes networks.

Of each type there is a function that returns the shapes of the bottoms and a layer with random parameters.
"""

from collections.abc import Callable, Iterator
from random import Random

from batchbrew.nets.shapes import Shape
from batchbrew.proto import caffe_pb2 as pb

Specimen = tuple[list[Shape], pb.LayerParameter]
Maker = Callable[[Random], Specimen]


POOL_METHODS = 2 * [pb.PoolingParameter.MAX, pb.PoolingParameter.AVE] + [pb.PoolingParameter.STOCHASTIC]


def shape(random: Random, axes: int, largest: int = 6) -> Shape:
    return tuple(random.randint(1, largest) for _ in range(axes))


def any_shape(random: Random, least: int = 1, most: int = 5) -> Shape:
    return shape(random, random.randint(least, most))


def image(random: Random) -> Shape:
    return random.randint(1, 3), random.choice([1, 2, 3, 4, 6]), random.randint(1, 13), random.randint(1, 13)


def maybe(random: Random, probability: float = 0.3) -> bool:
    return random.random() < probability


def axis(random: Random, axes: int, probability_wrong: float = 0.08) -> int:
    if maybe(random, probability_wrong):
        return random.choice([axes, -axes - 1])
    return random.randint(-axes, axes - 1)


def neuron(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        if kind == "Clip":
            layer.clip_param.min, layer.clip_param.max = 0, 1
        return [any_shape(random)], layer

    return make


def windows(random: Random, parameter: pb.ConvolutionParameter, spatial: int) -> None:
    def values(low: int, high: int) -> list[int]:
        count = 1 if maybe(random, 0.5) else spatial
        return [random.randint(low, high) for _ in range(count)]

    if spatial == 2 and maybe(random):
        parameter.kernel_h, parameter.kernel_w = random.randint(1, 4), random.randint(1, 4)
    else:
        parameter.kernel_size.extend(values(1, 4))
    if spatial == 2 and maybe(random):
        parameter.stride_h, parameter.stride_w = random.randint(1, 3), random.randint(1, 3)
    elif maybe(random, 0.7):
        parameter.stride.extend(values(1, 3))
    if maybe(random):
        parameter.pad_h, parameter.pad_w = random.randint(0, 2), random.randint(0, 2)
    elif maybe(random, 0.5):
        parameter.pad.extend(values(0, 2))
    if maybe(random):
        parameter.dilation.extend(values(1, 3))
    if maybe(random, 0.06):
        getattr(parameter, random.choice(["kernel_size", "stride", "pad", "dilation"])).append(0)


def convolution(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        parameter = layer.convolution_param
        spatial = random.choice([0, 1, 2, 2, 2, 2, 3]) if kind != "Im2col" else random.choice([1, 2, 2, 3])
        leading = random.choice([0, 1, 1, 1, 2])
        bottom = (*shape(random, leading, 3), random.choice([2, 4, 6]), *shape(random, spatial, 12))
        if leading != 1:
            parameter.axis = leading if maybe(random, 0.5) else leading - len(bottom)
        windows(random, parameter, spatial)
        if kind != "Im2col":
            parameter.num_output = random.choice([2, 4, 6])
            parameter.group = random.choice([1, 1, 1, 2, 4])
            parameter.bias_term = maybe(random, 0.6)
        if maybe(random, 0.1):
            parameter.force_nd_im2col = True
        bottoms = random.choice([1, 1, 1, 2]) if kind != "Im2col" else 1
        layer.top.extend(f"top{index}" for index in range(bottoms))
        return [bottom] * bottoms, layer

    return make


def pooling(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Pooling")
    parameter = layer.pooling_param
    parameter.pool = random.choice(POOL_METHODS)
    if maybe(random, 0.1):
        parameter.global_pooling = True
    elif maybe(random):
        parameter.kernel_h, parameter.kernel_w = random.randint(1, 5), random.randint(1, 5)
    else:
        parameter.kernel_size = random.randint(1, 5)
    if maybe(random):
        parameter.stride_h, parameter.stride_w = random.randint(1, 4), random.randint(1, 4)
    elif maybe(random, 0.7):
        parameter.stride = random.randint(1, 4)
    if maybe(random):
        parameter.pad_h, parameter.pad_w = random.randint(0, 2), random.randint(0, 2)
    elif maybe(random, 0.5):
        parameter.pad = random.randint(0, 2)
    if maybe(random, 0.05):
        parameter.pad_h = 1
    if maybe(random, 0.2):
        parameter.round_mode = pb.PoolingParameter.FLOOR
    layer.top.extend(["top0", "top1"][: 2 if maybe(random, 0.2) else 1])
    return [image(random) if maybe(random, 0.95) else any_shape(random)], layer


def spp(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="SPP")
    layer.spp_param.pyramid_height = random.randint(1, 4)
    layer.spp_param.pool = random.choice([pb.SPPParameter.MAX, pb.SPPParameter.AVE])
    return [image(random)], layer


def lrn(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="LRN")
    layer.lrn_param.local_size = random.choice([1, 3, 5, 5, 4])
    layer.lrn_param.norm_region = random.choice(pb.LRNParameter.NormRegion.values())
    return [image(random) if maybe(random, 0.9) else any_shape(random)], layer


def inner_product(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="InnerProduct")
    bottom = any_shape(random)
    parameter = layer.inner_product_param
    parameter.num_output = random.randint(1, 5)
    parameter.bias_term = maybe(random, 0.6)
    parameter.transpose = maybe(random)
    if len(bottom) == 1 or maybe(random, 0.5):
        parameter.axis = axis(random, len(bottom))
    return [bottom], layer


def embed(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Embed")
    layer.embed_param.num_output, layer.embed_param.input_dim = random.randint(1, 5), random.randint(1, 9)
    layer.embed_param.bias_term = maybe(random, 0.6)
    return [any_shape(random, 1, 3)], layer


def scale_or_bias(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        parameter = layer.scale_param if kind == "Scale" else layer.bias_param
        bottom = any_shape(random)
        start = random.randint(0, len(bottom) - 1)
        parameter.axis = start if maybe(random, 0.5) else start - len(bottom)
        if kind == "Scale":
            layer.scale_param.bias_term = maybe(random, 0.5)
        if maybe(random):
            end = random.randint(start, len(bottom))
            factors = bottom[start:end]
            if not factors:
                factors = (bottom[start],)
            if maybe(random, 0.1):
                factors = (*factors[:-1], factors[-1] + 1)
            return [bottom, factors], layer
        parameter.num_axes = random.choice([-1, 0, 1, 1, 2])
        return [bottom], layer

    return make


def batch_norm(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="BatchNorm")
    for _ in range(random.choice([0, 0, 1, 3, 3])):
        layer.param.add(lr_mult=random.choice([0, 0, 1]))
    return [any_shape(random, 2, 5)], layer


def prelu(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="PReLU")
    layer.prelu_param.channel_shared = maybe(random)
    return [any_shape(random, 1 if maybe(random, 0.1) else 2, 5)], layer


def parameter(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Parameter")
    layer.parameter_param.shape.dim.extend(any_shape(random))
    return [], layer


def eltwise(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Eltwise")
    bottom, count = any_shape(random), random.randint(1 if maybe(random, 0.1) else 2, 4)
    layer.eltwise_param.operation = random.choice(pb.EltwiseParameter.EltwiseOp.values())
    if maybe(random, 0.3):
        layer.eltwise_param.coeff.extend([1.0] * (count if maybe(random, 0.8) else count + 1))
    bottoms = [bottom] * count
    if maybe(random, 0.1):
        bottoms[-1] = any_shape(random)
    return bottoms, layer


def softmax(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Softmax")
    bottom = any_shape(random)
    layer.softmax_param.axis = axis(random, len(bottom))
    return [bottom], layer


def reshape(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Reshape")
    bottom = shape(random, random.randint(1, 4), 4)
    parameter = layer.reshape_param
    start = random.randint(0, len(bottom))
    end = random.randint(start, len(bottom))
    if maybe(random, 0.6):
        parameter.axis = start if maybe(random, 0.5) else start - len(bottom) - 1
        parameter.num_axes = end - start
    else:
        start, end = 0, len(bottom)
    dims = list(bottom[start:end])
    random.shuffle(dims)
    for index in range(len(dims)):
        if maybe(random, 0.15):
            dims[index] = 0
    if dims and maybe(random, 0.6):
        dims[random.randrange(len(dims))] = -1
    if maybe(random, 0.15):
        dims.append(random.choice([-1, 0, 1, 2]))
    parameter.shape.dim.extend(dims)
    return [bottom], layer


def flatten(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Flatten")
    bottom = any_shape(random)
    layer.flatten_param.axis, layer.flatten_param.end_axis = (
        axis(random, len(bottom)),
        axis(random, len(bottom)),
    )
    return [bottom], layer


def concat(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Concat")
    first = any_shape(random)
    along = axis(random, len(first))
    if along >= 0 and maybe(random):
        layer.concat_param.concat_dim = along
    else:
        layer.concat_param.axis = along
    if maybe(random, 0.05):
        layer.concat_param.axis, layer.concat_param.concat_dim = 0, 0
    bottoms = [first]
    for _ in range(random.randint(0, 3)):
        other = list(first)
        other[along % len(first)] = random.randint(1, 4)
        if maybe(random, 0.06):
            other[0] += 1
        if maybe(random, 0.04):
            other.append(1)
        bottoms.append(tuple(other))
    return bottoms, layer


def slice_(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Slice")
    bottom = list(any_shape(random))
    along, tops = axis(random, len(bottom)), random.randint(1, 4)
    length = random.choice([tops, 2 * tops, 7])
    bottom[along % len(bottom)] = length
    if along >= 0 and maybe(random):
        layer.slice_param.slice_dim = along
    else:
        layer.slice_param.axis = along
    if maybe(random, 0.5) and tops > 1:
        points = sorted(random.sample(range(1, length + 1), min(tops - 1, length)))
        layer.slice_param.slice_point.extend(points if maybe(random, 0.9) else points[::-1])
    layer.top.extend(f"top{index}" for index in range(tops))
    return [tuple(bottom)], layer


def split(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Split", top=["top0", "top1", "top2"][: random.randint(1, 3)])
    return [any_shape(random)], layer


def silence(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Silence", name="quiet")
    return [any_shape(random) for _ in range(random.randint(1, 3))], layer


def tile(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Tile")
    bottom = any_shape(random)
    layer.tile_param.axis = axis(random, len(bottom))
    if maybe(random, 0.95):
        layer.tile_param.tiles = random.randint(0 if maybe(random, 0.1) else 1, 4)
    return [bottom], layer


def crop(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Crop")
    bottom = any_shape(random, 3, 5)
    start = random.randint(0, len(bottom) - 1)
    layer.crop_param.axis = start if maybe(random, 0.5) else start - len(bottom)
    reference = [random.randint(1, length) if maybe(random, 0.95) else length + 1 for length in bottom]
    room = [length - cut for length, cut in zip(bottom, reference, strict=True)]
    if maybe(random):
        layer.crop_param.offset.append(min(room[start:]) if min(room) >= 0 else 1)
    elif maybe(random, 0.5):
        layer.crop_param.offset.extend(max(0, each) for each in room[start:])
    if maybe(random, 0.1):
        layer.crop_param.offset.append(1)
    return [bottom, tuple(reference)], layer


def reduction(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Reduction")
    bottom = any_shape(random)
    layer.reduction_param.axis = axis(random, len(bottom))
    return [bottom], layer


def arg_max(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="ArgMax")
    bottom = any_shape(random)
    layer.argmax_param.top_k = random.randint(0 if maybe(random, 0.05) else 1, 4)
    layer.argmax_param.out_max_val = maybe(random, 0.5)
    if maybe(random, 0.5):
        layer.argmax_param.axis = axis(random, len(bottom))
    return [bottom], layer


def filter_(random: Random) -> Specimen:
    count = random.randint(1, 3)
    layer = pb.LayerParameter(type="Filter", top=[f"top{index}" for index in range(count)])
    items = random.randint(1, 5)
    bottoms = [(items if maybe(random, 0.97) else items + 1, *any_shape(random, 0, 3)) for _ in range(count)]
    return [*bottoms, (items, *[1] * random.randint(0, 2))], layer


def batch_reindex(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="BatchReindex")
    return [any_shape(random), shape(random, 1 if maybe(random, 0.9) else 2)], layer


def mvn(random: Random) -> Specimen:
    return [any_shape(random)], pb.LayerParameter(type="MVN")


def scores_and_labels(random: Random, along: int, axes: int) -> list[Shape]:
    scores = shape(random, axes)
    labels = list(scores)
    del labels[along % axes]
    if maybe(random, 0.3):
        labels.insert(along % axes, 1)
    if maybe(random, 0.08):
        labels.append(2)
    return [scores, tuple(labels)]


def softmax_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="SoftmaxWithLoss", top=random.choice([[], ["l"], ["l"], ["l", "p"]]))
    axes = random.randint(2, 4)
    along = random.choice([1, 1, -1])
    layer.softmax_param.axis = along
    if len(layer.top) == 2 and maybe(random, 0.8):
        layer.loss_weight.extend([1, 0])
    return scores_and_labels(random, along, axes), layer


def infogain_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="InfogainLoss", top=["l"])
    bottoms = scores_and_labels(random, 1, random.randint(2, 4))
    classes = bottoms[0][1]
    if maybe(random, 0.9):
        bottoms.append((1, 1, classes, classes if maybe(random, 0.9) else classes + 1))
    return bottoms, layer


def accuracy(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Accuracy", top=["a", "each"][: random.randint(1, 2)])
    axes = random.randint(2, 4)
    along = random.choice([1, 1, -1])
    layer.accuracy_param.axis = along
    layer.accuracy_param.top_k = random.choice([1, 1, 2, 5])
    return scores_and_labels(random, along, axes), layer


def pair_loss(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind, top=["l"] if maybe(random, 0.8) else [])
        first = any_shape(random)
        second = first if maybe(random, 0.6) else (first[0], *any_shape(random, 0, 3))
        if maybe(random, 0.08):
            second = (first[0] + 1, *second[1:])
        return [first, second], layer

    return make


def label_loss(kind: str) -> Maker:
    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind, top=["l"])
        first = any_shape(random)
        return [first, (first[0], *random.choice([(), (), (1,), (1, 1, 1), (2,)]))], layer

    return make


def contrastive_loss(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="ContrastiveLoss", top=["l"])
    number, width = shape(random, 2)
    ones = random.choice([(), (1, 1), (1, 1), (2, 1)])
    return [(number, width, *ones), (number, width, *ones), (number, *random.choice([(), (1,), (2,)]))], layer


def recurrent(kind: str) -> Maker:
    states = {"LSTM": 2, "RNN": 1}[kind]

    def make(random: Random) -> Specimen:
        layer = pb.LayerParameter(type=kind)
        parameter = layer.recurrent_param
        steps, streams, outputs = random.randint(1, 3), random.randint(1, 3), random.randint(1, 4)
        parameter.num_output = outputs
        parameter.weight_filler.type = "uniform"
        exposed = states if maybe(random, 0.4) else 0
        parameter.expose_hidden = exposed > 0
        bottoms: list[Shape] = [(steps, streams, *any_shape(random, 0 if maybe(random, 0.1) else 1, 3))]
        bottoms.append((steps, streams) if maybe(random, 0.93) else (steps, streams, 1))
        if maybe(random):
            bottoms.append((streams, *any_shape(random, 1, 2)))
        bottoms += [(1, streams, outputs) if maybe(random, 0.95) else (1, streams, outputs + 1)] * exposed
        layer.top.extend(f"top{index}" for index in range(1 + exposed))
        return bottoms, layer

    return make


def lstm_unit(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="LSTMUnit", top=["c", "h"])
    number, width = shape(random, 2)
    gates = 4 * width if maybe(random, 0.9) else 3 * width
    return [(1, number, width), (1, number, gates), (1, number)], layer


def dummy_data(random: Random) -> Specimen:
    tops = random.randint(1, 3)
    layer = pb.LayerParameter(type="DummyData", top=[f"top{index}" for index in range(tops)])
    parameter = layer.dummy_data_param
    many = random.choice([1, tops, tops, 2])
    if maybe(random, 0.5):
        parameter.shape.extend(pb.BlobShape(dim=any_shape(random)) for _ in range(many))
    else:
        for field in (parameter.num, parameter.channels, parameter.height, parameter.width):
            field.extend(shape(random, many))
    for _ in range(random.choice([0, 1, tops])):
        parameter.data_filler.add()
    return [], layer


def memory_data(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="MemoryData", top=["d", "l"])
    parameter = layer.memory_data_param
    parameter.batch_size, parameter.channels, parameter.height, parameter.width = shape(random, 4)
    if maybe(random, 0.1):
        parameter.height = 0
    return [], layer


def input_(random: Random) -> Specimen:
    tops = random.randint(1, 3)
    layer = pb.LayerParameter(type="Input", top=[f"top{index}" for index in range(tops)])
    layer.input_param.shape.extend(
        pb.BlobShape(dim=any_shape(random)) for _ in range(random.choice([1, tops, 2]))
    )
    return [], layer


NEURONS = ("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "Log", "Power", "ReLU", "Sigmoid", "Swish", "TanH",
           "Threshold")  # fmt: skip
MAKERS: dict[str, Maker] = {
    **{kind: neuron(kind) for kind in NEURONS},
    **{kind: convolution(kind) for kind in ("Convolution", "Deconvolution", "Im2col")},
    **{kind: scale_or_bias(kind) for kind in ("Scale", "Bias")},
    **{kind: pair_loss(kind) for kind in ("EuclideanLoss", "SigmoidCrossEntropyLoss")},
    **{kind: label_loss(kind) for kind in ("HingeLoss", "MultinomialLogisticLoss")},
    **{kind: recurrent(kind) for kind in ("LSTM", "RNN")},
    "Accuracy": accuracy,
    "ArgMax": arg_max,
    "BatchNorm": batch_norm,
    "BatchReindex": batch_reindex,
    "Concat": concat,
    "ContrastiveLoss": contrastive_loss,
    "Crop": crop,
    "DummyData": dummy_data,
    "Eltwise": eltwise,
    "Embed": embed,
    "Filter": filter_,
    "Flatten": flatten,
    "InfogainLoss": infogain_loss,
    "InnerProduct": inner_product,
    "Input": input_,
    "LRN": lrn,
    "LSTMUnit": lstm_unit,
    "MVN": mvn,
    "MemoryData": memory_data,
    "PReLU": prelu,
    "Parameter": parameter,
    "Pooling": pooling,
    "Reduction": reduction,
    "Reshape": reshape,
    "SPP": spp,
    "Silence": silence,
    "Slice": slice_,
    "Softmax": softmax,
    "SoftmaxWithLoss": softmax_loss,
    "Split": split,
    "Tile": tile,
}
# Those with more to get wrong are made more often.
OFTEN = {"Convolution": 5, "Deconvolution": 4, "Im2col": 3, "Pooling": 6, "Reshape": 5, "Crop": 2, "Slice": 2}


def specimens(seed: int, rounds: int) -> Iterator[tuple[str, pb.NetParameter]]:
    """Networks of an Input and one layer; by their number each can be made again."""
    for number in range(rounds):
        for kind, make in MAKERS.items():
            for again in range(OFTEN.get(kind, 1)):
                random = Random(f"{seed} {kind} {number} {again}")
                yield f"{kind} {number}.{again}", network(random, *make(random))


def network(random: Random, bottoms: list[Shape], layer: pb.LayerParameter) -> pb.NetParameter:
    net = pb.NetParameter(name="specimen")
    if bottoms:
        tops = [f"in{index}" for index in range(len(bottoms))]
        inputs = pb.InputParameter(shape=[pb.BlobShape(dim=bottom) for bottom in bottoms])
        net.layer.add(name="input", type="Input", top=tops, input_param=inputs)
        layer.bottom.extend(tops)
    if not layer.top and layer.type != "Silence" and not layer.type.endswith("Loss"):
        layer.top.append("in0" if bottoms and layer.type in NEURONS and maybe(random) else "top0")
    layer.name = "layer"
    net.layer.append(layer)
    return net
