"""Random layers that slide a window."""

from random import Random

from batchbrew.parity.specimens.chance import (
    Bottom,
    Maker,
    Specimen,
    any_shape,
    image,
    maybe,
    shape,
    some_learning_rates,
)
from batchbrew.parity.specimens.values import Values, distinct, usual, with_ties
from batchbrew.proto import caffe_pb2 as pb

POOL_METHODS = [pb.PoolingParameter.MAX, pb.PoolingParameter.AVE]  # STOCHASTIC: Caffe has none for the CPU


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
    if spatial == 2 and maybe(random):
        parameter.pad_h, parameter.pad_w = random.randint(0, 2), random.randint(0, 2)
    elif maybe(random, 0.5):
        parameter.pad.extend(values(0, 2))
    elif maybe(random, 0.05):
        parameter.pad_h = 1
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
            some_learning_rates(random, layer, 1 + parameter.bias_term)
        if maybe(random, 0.1):
            parameter.force_nd_im2col = True
        bottoms = random.choice([1, 1, 1, 2]) if kind != "Im2col" else 1
        layer.top.extend(f"top{index}" for index in range(bottoms))
        return Specimen([Bottom(bottom)] * bottoms, layer)

    return make


def _for_a_maximum(random: Random) -> Values:
    return random.choice([usual, distinct, with_ties])


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
    bottom = image(random) if maybe(random, 0.95) else any_shape(random)
    return Specimen(
        [Bottom(bottom, _for_a_maximum(random))], layer, forward_only=_leaves_the_image(parameter)
    )


def _leaves_the_image(parameter: pb.PoolingParameter) -> bool:
    """May a window lie beyond the image? Caffe clips none without padding, and takes its maximum from place -1."""
    kernels = parameter.kernel_h or parameter.kernel_size, parameter.kernel_w or parameter.kernel_size
    strides = parameter.stride_h or parameter.stride, parameter.stride_w or parameter.stride
    padded = parameter.pad or parameter.pad_h or parameter.pad_w
    return not padded and any(stride > kernel for stride, kernel in zip(strides, kernels, strict=True))


def spp(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="SPP")
    layer.spp_param.pyramid_height = random.randint(1, 4)
    layer.spp_param.pool = random.choice([pb.SPPParameter.MAX, pb.SPPParameter.AVE])
    return Specimen([Bottom(image(random), _for_a_maximum(random))], layer)


def lrn(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="LRN")
    parameter = layer.lrn_param
    parameter.local_size = random.choice([1, 3, 5, 5, 7, 4])
    parameter.norm_region = random.choice(pb.LRNParameter.NormRegion.values())
    if maybe(random, 0.7):
        parameter.alpha = random.choice([1e-4, 0.1, 1, 2])
    if maybe(random, 0.5):
        parameter.beta = random.choice([0.5, 0.75, 1, 0.3])
    if maybe(random, 0.4):
        parameter.k = random.choice([1, 2, 0.5])
    return Specimen([Bottom(image(random) if maybe(random, 0.9) else any_shape(random))], layer)
