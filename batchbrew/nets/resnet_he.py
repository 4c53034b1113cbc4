"""Residual networks as He, Zhang, Ren and Sun released them (arXiv 1512.03385): normalised after a convolution.

Names are those of the weights released for 50, 101 and 152 layers (KaimingHe/deep-residual-networks). A unit is
named by its stage, 2 to 5, and its place there: `2a`, `2b`, ... Its convolutions are `res2a_branch2a`, `..2b`,
`..2c`, with `bn2a_branch2a` and `scale2a_branch2a` behind the first; the projection on the shortcut, where there
is one, is `branch1`. 18 and 34 layers were not released: their units are the paper's, named by the same rule.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from batchbrew.nets.blocks import (
    MSRA,
    WEIGHT_AND_BIAS,
    WEIGHT_ONLY,
    add_up,
    average_pool,
    batch_norm_scale,
    convolution,
    inner_product,
    max_pool,
    relu,
)
from batchbrew.nets.netspec import NetBuilder
from batchbrew.nets.phases import Body
from batchbrew.proto import caffe_pb2 as pb

# (net, name of the unit, bottom, width, stride) -> top
Branch = Callable[[NetBuilder, str, str, int, int], str]

FIRST_STAGE, WIDTHS = 2, (64, 128, 256, 512)


def normalised(
    net: NetBuilder, name: str, bottom: str, num_output: int, *, kernel: int, stride: int = 1, pad: int = 0
) -> str:
    """Convolution `res{name}`, BatchNorm and Scale."""
    top = convolution(net, f"res{name}", bottom, num_output, kernel=kernel, stride=stride, pad=pad)
    return batch_norm_scale(net, top, top, bn=f"bn{name}", scale=f"scale{name}")


def activated(
    net: NetBuilder, name: str, bottom: str, num_output: int, *, kernel: int, stride: int = 1, pad: int = 0
) -> str:
    """The same, and a ReLU."""
    top = normalised(net, name, bottom, num_output, kernel=kernel, stride=stride, pad=pad)
    return relu(net, f"res{name}_relu", top)


def basic_branch(net: NetBuilder, unit: str, bottom: str, width: int, stride: int) -> str:
    """Two 3×3 convolutions."""
    top = activated(net, f"{unit}_branch2a", bottom, width, kernel=3, stride=stride, pad=1)
    return normalised(net, f"{unit}_branch2b", top, width, kernel=3, pad=1)


def bottleneck_branch(net: NetBuilder, unit: str, bottom: str, width: int, stride: int) -> str:
    """A narrow 3×3 convolution between two 1×1, the first of which has the stride, as in He's release."""
    top = activated(net, f"{unit}_branch2a", bottom, width, kernel=1, stride=stride)
    top = activated(net, f"{unit}_branch2b", top, width, kernel=3, pad=1)
    return normalised(net, f"{unit}_branch2c", top, 4 * width, kernel=1)


def bottleneck_branch_3x3(net: NetBuilder, unit: str, bottom: str, width: int, stride: int) -> str:
    """The same with the stride on the 3×3, as in fb.resnet.torch and torchvision, where it is called v1.5."""
    top = activated(net, f"{unit}_branch2a", bottom, width, kernel=1)
    top = activated(net, f"{unit}_branch2b", top, width, kernel=3, stride=stride, pad=1)
    return normalised(net, f"{unit}_branch2c", top, 4 * width, kernel=1)


@dataclass(frozen=True)
class UnitKind:
    """What stands beside a shortcut, how many times `width` it puts out, and where that must be projected."""

    branch: Branch
    expansion: int
    projected_stages: Sequence[int]


BASIC = UnitKind(basic_branch, 1, projected_stages=(3, 4, 5))
BOTTLENECK = UnitKind(bottleneck_branch, 4, projected_stages=(2, 3, 4, 5))
BOTTLENECK_3X3 = UnitKind(bottleneck_branch_3x3, 4, projected_stages=(2, 3, 4, 5))
BASICS = {"3x3": BASIC}
BOTTLENECKS = {"1x1": BOTTLENECK, "3x3": BOTTLENECK_3X3}


def stage(
    net: NetBuilder, kind: UnitKind, bottom: str, number: int, width: int, places: Sequence[str]
) -> str:
    """The units of one width and image size; every stage but the first halves the image in its first unit."""
    for place in places:
        unit, first = f"{number}{place}", place == places[0]
        stride = 2 if first and number != FIRST_STAGE else 1
        shortcut = bottom
        if first and number in kind.projected_stages:
            wide = kind.expansion * width
            shortcut = normalised(net, f"{unit}_branch1", bottom, wide, kernel=1, stride=stride)
        branch = kind.branch(net, unit, bottom, width, stride)
        bottom = relu(net, f"res{unit}_relu", add_up(net, f"res{unit}", shortcut, branch))
    return bottom


def imagenet_stem(net: NetBuilder, data: str, params: Sequence[pb.ParamSpec]) -> str:
    """Pixels, their mean subtracted, to 64 channels of a quarter of the size."""
    top = convolution(net, "conv1", data, 64, kernel=7, stride=2, pad=3, params=params)
    return max_pool(net, "pool1", _stem_end(net, top), kernel=3, stride=2)


def small_stem(net: NetBuilder, data: str, params: Sequence[pb.ParamSpec]) -> str:
    """The same of the full size, for small images: as He et al. have it for CIFAR-10 (section 4.2), but 64 wide."""
    return _stem_end(net, convolution(net, "conv1", data, 64, kernel=3, pad=1, params=params))


def _stem_end(net: NetBuilder, conv1: str) -> str:
    return relu(net, "conv1_relu", batch_norm_scale(net, conv1, conv1, bn="bn_conv1", scale="scale_conv1"))


@dataclass(frozen=True)
class Stem:
    """Layers, and the side of the image that they make of a crop."""

    layers: Callable[[NetBuilder, str, Sequence[pb.ParamSpec]], str]
    side: Callable[[int], int]


STEMS = {
    "imagenet": Stem(imagenet_stem, lambda crop: ((crop + 1) // 2) // 2),
    "small": Stem(small_stem, lambda crop: crop),
}


def resnet_he(
    depth: int, classes: int, crop: int, *, stride_on: str | None = None, stem: str = "imagenet"
) -> Body:
    """The network of that depth, a key of DEPTHS, for images of side `crop`.

    `stride_on`: a key of the depth's `kinds`, by default the release's; `stem`: a key of STEMS.
    """
    architecture = DEPTHS[depth]
    kind = architecture.kinds[stride_on or next(iter(architecture.kinds))]
    return partial(_body, architecture=architecture, kind=kind, stem=STEMS[stem], classes=classes, crop=crop)


def _body(
    net: NetBuilder,
    data: str,
    *,
    architecture: "Architecture",
    kind: UnitKind,
    stem: Stem,
    classes: int,
    crop: int,
) -> str:
    top = stem.layers(net, data, architecture.conv1_params)
    for number, (width, units) in enumerate(zip(WIDTHS, architecture.units, strict=True), FIRST_STAGE):
        places = architecture.places(number, units)
        top = stage(net, kind, top, number, width, places)
    # The release's window is 7×7, which is all that is left of 224×224: so is it worked out for other crops.
    last_side = -(-stem.side(crop) // 8)
    top = average_pool(net, "pool5", top, kernel=last_side)
    return inner_product(net, "fc1000", top, classes, filler=MSRA)


def lettered(units: int) -> list[str]:
    """a, b, c, ..."""
    return [chr(ord("a") + index) for index in range(units)]


def counted(units: int) -> list[str]:
    """a, b1, b2, ..."""
    return ["a", *(f"b{index}" for index in range(1, units))]


@dataclass(frozen=True)
class Architecture:
    """`units` in each stage, of one of `kinds`, by where their stride is; the release's kind is the first.

    The release counts the units of some stages where it letters those of others, and only one of its networks
    has a bias in conv1.
    """

    kinds: Mapping[str, UnitKind]
    units: tuple[int, int, int, int]
    counted_stages: Sequence[int] = ()
    conv1_params: Sequence[pb.ParamSpec] = WEIGHT_ONLY

    def places(self, stage: int, units: int) -> list[str]:
        """What units of `stage` are named."""
        return counted(units) if stage in self.counted_stages else lettered(units)


# He et al., table 1
DEPTHS = {
    18: Architecture(BASICS, (2, 2, 2, 2)),
    34: Architecture(BASICS, (3, 4, 6, 3)),
    50: Architecture(BOTTLENECKS, (3, 4, 6, 3), conv1_params=WEIGHT_AND_BIAS),
    101: Architecture(BOTTLENECKS, (3, 4, 23, 3), counted_stages=(3, 4)),
    152: Architecture(BOTTLENECKS, (3, 8, 36, 3), counted_stages=(3, 4)),
}
