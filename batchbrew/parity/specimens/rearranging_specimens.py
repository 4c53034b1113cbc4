"""Random layers without parameters that move, pick or join numbers."""

from random import Random

from batchbrew.parity.specimens.chance import Bottom, Specimen, any_shape, axis, maybe, shape
from batchbrew.parity.specimens.values import (
    between,
    distinct,
    indicators,
    integers,
    normal,
    usual,
    with_ties,
)
from batchbrew.proto import caffe_pb2 as pb


def eltwise(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Eltwise")
    parameter = layer.eltwise_param
    bottom, count = any_shape(random), random.randint(1 if maybe(random, 0.1) else 2, 4)
    parameter.operation = random.choice(pb.EltwiseParameter.EltwiseOp.values())
    if maybe(random, 0.8 if parameter.operation == pb.EltwiseParameter.SUM else 0.1):
        factors = [random.choice([1, -1, 0.5, 2, 0.3]) for _ in range(count)]
        parameter.coeff.extend(factors if maybe(random, 0.9) else [*factors, 1])
    if parameter.operation == pb.EltwiseParameter.PROD and maybe(random, 0.6):
        parameter.stable_prod_grad = maybe(random, 0.5)
    values = random.choice([usual, with_ties]) if parameter.operation == pb.EltwiseParameter.MAX else usual
    bottoms = [Bottom(bottom, values)] * count
    if maybe(random, 0.1):
        bottoms[-1] = Bottom(any_shape(random))
    return Specimen(bottoms, layer)


def softmax(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Softmax")
    bottom = any_shape(random)
    layer.softmax_param.axis = axis(random, len(bottom))
    return Specimen([Bottom(bottom, random.choice([usual, normal(0, 20)]))], layer, in_place=True)


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
    return Specimen([Bottom(bottom)], layer)


def flatten(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Flatten")
    bottom = any_shape(random)
    layer.flatten_param.axis = axis(random, len(bottom))
    layer.flatten_param.end_axis = axis(random, len(bottom))
    return Specimen([Bottom(bottom)], layer)


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
    return Specimen([Bottom(bottom) for bottom in bottoms], layer)


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
    return Specimen([Bottom(tuple(bottom))], layer)


def split(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Split", top=["top0", "top1", "top2"][: random.randint(1, 3)])
    return Specimen([Bottom(any_shape(random))], layer)


def silence(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Silence")
    return Specimen([Bottom(any_shape(random)) for _ in range(random.randint(1, 3))], layer)


def tile(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Tile")
    bottom = any_shape(random)
    layer.tile_param.axis = axis(random, len(bottom))
    if maybe(random, 0.95):
        layer.tile_param.tiles = random.randint(0 if maybe(random, 0.1) else 1, 4)
    return Specimen([Bottom(bottom)], layer)


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
        layer.crop_param.offset.extend(random.randint(0, max(0, each)) for each in room[start:])
    if maybe(random, 0.1):
        layer.crop_param.offset.append(1)
    return Specimen([Bottom(bottom), Bottom(tuple(reference))], layer)


def reduction(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="Reduction")
    bottom = any_shape(random)
    parameter = layer.reduction_param
    parameter.axis = axis(random, len(bottom))
    parameter.operation = random.choice(pb.ReductionParameter.ReductionOp.values())
    if maybe(random, 0.5):
        parameter.coeff = random.choice([0.5, -2, 3])
    return Specimen([Bottom(bottom, random.choice([usual, between(0.5, 2)]))], layer)


def arg_max(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="ArgMax")
    bottom = any_shape(random)
    layer.argmax_param.top_k = random.randint(0 if maybe(random, 0.05) else 1, 4)
    layer.argmax_param.out_max_val = maybe(random, 0.5)
    if maybe(random, 0.5):
        layer.argmax_param.axis = axis(random, len(bottom))
    values = random.choice([usual, distinct, with_ties])
    return Specimen([Bottom(bottom, values, gradient=False)], layer)


def filter_(random: Random) -> Specimen:
    count = random.randint(1, 3)
    layer = pb.LayerParameter(type="Filter", top=[f"top{index}" for index in range(count)])
    items = random.randint(1, 5)
    bottoms = [
        Bottom((items if maybe(random, 0.97) else items + 1, *any_shape(random, 0, 3))) for _ in range(count)
    ]
    chosen = Bottom((items, *[1] * random.randint(0, 2)), indicators(0.7), gradient=False)
    return Specimen([*bottoms, chosen], layer)


def batch_reindex(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="BatchReindex")
    bottom = any_shape(random)
    indices = shape(random, 1 if maybe(random, 0.9) else 2)
    return Specimen([Bottom(bottom), Bottom(indices, integers(bottom[0]), gradient=False)], layer)


def mvn(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="MVN")
    parameter = layer.mvn_param
    if maybe(random, 0.5):
        parameter.normalize_variance = maybe(random, 0.5)
    if maybe(random, 0.5):
        parameter.across_channels = maybe(random, 0.6)
    if maybe(random, 0.4):
        parameter.eps = random.choice([1e-5, 1e-2])
    if maybe(random, 0.1):
        return Specimen([Bottom(any_shape(random))], layer, in_place=True)
    bottom = (*any_shape(random, 2, 2), random.randint(2, 6), random.randint(3, 6))
    return Specimen([Bottom(bottom, random.choice([usual, normal(10, 2)]))], layer, in_place=True)
