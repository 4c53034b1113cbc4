"""Pre-activation residual networks, as Simon, Rodner and Denzler trained them (arXiv 1612.01452).

The units are those of He et al., "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027). Names of
layers and blobs, and what is done in place, are those of the weights released for ResNet-10 and ResNet-50.

Every layer of a unit is named `layer_{width}_{number}_{what}`, the number counting the units of a stage from
1; a BatchNorm, its Scale and its ReLU carry the number of the convolution that they prepare for.
"""

from collections.abc import Callable
from functools import partial

from batchbrew.nets.blocks import (
    MSRA_FAN_OUT,
    WEIGHT_AND_BIAS,
    add_up,
    batch_norm_scale,
    classifier,
    convolution,
    global_average_pool,
    max_pool,
    relu,
)
from batchbrew.nets.netspec import NetBuilder
from batchbrew.nets.phases import Body

# (net, bottom, width of the stage, number in the stage) -> top
Unit = Callable[[NetBuilder, str, int, int], str]
# (net, bottom) -> top
Preparation = Callable[[NetBuilder, str], str]

WIDTHS = (64, 128, 256, 512)
EXPANSION = 4  # a bottleneck unit's output is this many times as wide as its 3×3 convolution


def normalised(net: NetBuilder, prefix: str, bottom: str, number: int | None = None) -> str:
    """BatchNorm, Scale and ReLU of `bottom`, in place."""
    return _bn_scale_relu(net, prefix, bottom, bottom, number)


def normalised_copy(net: NetBuilder, prefix: str, bottom: str, number: int) -> str:
    """The same in a blob of its own, named like the BatchNorm: the unit's shortcut still wants `bottom`."""
    return _bn_scale_relu(net, prefix, bottom, f"{prefix}_bn{number}", number)


def _bn_scale_relu(net: NetBuilder, prefix: str, bottom: str, top: str, number: int | None) -> str:
    suffix = "" if number is None else str(number)
    batch_norm_scale(net, bottom, top, bn=f"{prefix}_bn{suffix}", scale=f"{prefix}_scale{suffix}")
    return relu(net, f"{prefix}_relu{suffix}", top)


def basic_unit(net: NetBuilder, bottom: str, width: int, number: int) -> str:
    """Two 3×3 convolutions beside a shortcut."""
    unit, stride = _unit_name(width, number), _unit_stride(width, number)
    activated = bottom if _opens_net(width, number) else normalised_copy(net, unit, bottom, 1)
    branch = convolution(net, f"{unit}_conv1", activated, width, kernel=3, stride=stride, pad=1)
    branch = normalised(net, unit, branch, 2)
    branch = convolution(net, f"{unit}_conv2", branch, width, kernel=3, pad=1)
    shortcut = bottom if stride == 1 else projection(net, unit, activated, width, stride)
    return add_up(net, f"{unit}_sum", branch, shortcut)


def bottleneck_unit(net: NetBuilder, bottom: str, width: int, number: int) -> str:
    """A narrow 3×3 convolution between two 1×1, beside a shortcut.

    The stride is on the 3×3, as in this release and in fb.resnet.torch; He's release has it on the first 1×1.
    """
    unit, stride = _unit_name(width, number), _unit_stride(width, number)
    activated = bottom if _opens_net(width, number) else normalised_copy(net, unit, bottom, 1)
    branch = convolution(net, f"{unit}_conv1", activated, width, kernel=1)
    reduced = branch = normalised(net, unit, branch, 2)
    branch = convolution(net, f"{unit}_conv2", branch, width, kernel=3, stride=stride, pad=1)
    branch = normalised(net, unit, branch, 3)
    branch = convolution(net, f"{unit}_conv3", branch, EXPANSION * width, kernel=1)
    shortcut = bottom
    if number == 1:
        # The paper projects what conv1 reads. In the release the very first unit projects conv1's own output,
        # after its BatchNorm, Scale and ReLU. It is no slip to mend: the released weights were trained so.
        source = reduced if _opens_net(width, number) else activated
        shortcut = projection(net, unit, source, EXPANSION * width, stride)
    return add_up(net, f"{unit}_sum", branch, shortcut)


def projection(net: NetBuilder, unit: str, bottom: str, num_output: int, stride: int) -> str:
    """The shortcut's 1×1 convolution, where the unit changes the width or the size."""
    return convolution(net, f"{unit}_conv_expand", bottom, num_output, kernel=1, stride=stride)


def _unit_name(width: int, number: int) -> str:
    return f"layer_{width}_{number}"


def _unit_stride(width: int, number: int) -> int:
    """Each stage but the first halves the image in its first unit."""
    return 2 if number == 1 and width != WIDTHS[0] else 1


def _opens_net(width: int, number: int) -> bool:
    """The very first unit has no bn1, scale1, relu1: what the stem leaves is normalised and rectified already."""
    return number == 1 and width == WIDTHS[0]


def stage(net: NetBuilder, unit: Unit, bottom: str, width: int, units: int) -> str:
    """`units` units of one width and image size."""
    for number in range(1, units + 1):
        bottom = unit(net, bottom, width, number)
    return bottom


def normalised_images(net: NetBuilder, data: str) -> str:
    """Raw pixels made alike: stands in for subtracting a mean image."""
    return batch_norm_scale(net, data, "data_bn", bn="data_bn", scale="data_scale")


def imagenet_stem(net: NetBuilder, images: str) -> str:
    """Images to 64 channels of a quarter of the size."""
    top = convolution(
        net, "conv1", images, 64, kernel=7, stride=2, pad=3, params=WEIGHT_AND_BIAS, filler=MSRA_FAN_OUT
    )
    return max_pool(net, "conv1_pool", normalised(net, "conv1", top), kernel=3, stride=2)


def small_stem(net: NetBuilder, images: str) -> str:
    """The same of the full size, for small images: as He et al. have it for CIFAR-10, but 64 channels wide."""
    top = convolution(net, "conv1", images, 64, kernel=3, pad=1, params=WEIGHT_AND_BIAS, filler=MSRA_FAN_OUT)
    return normalised(net, "conv1", top)


STEMS = {"imagenet": imagenet_stem, "small": small_stem}


def head(net: NetBuilder, bottom: str, classes: int) -> str:
    """Features to a score for each class."""
    top = normalised(net, "last", bottom)
    top = global_average_pool(net, "global_pool", top)
    return classifier(net, "score", top, classes)


def resnet(
    depth: int, classes: int, *, prepare: Preparation = normalised_images, stem: str = "imagenet"
) -> Body:
    """The network of that depth, a key of DEPTHS, from images to scores.

    `prepare` is what happens to the images first; `stem`: a key of STEMS.
    """
    return partial(_body, depth=depth, classes=classes, prepare=prepare, stem=STEMS[stem])


def _body(
    net: NetBuilder, data: str, *, depth: int, classes: int, prepare: Preparation, stem: Preparation
) -> str:
    unit, units_of_stages = DEPTHS[depth]
    top = stem(net, prepare(net, data))
    for width, units in zip(WIDTHS, units_of_stages, strict=True):
        top = stage(net, unit, top, width, units)
    return head(net, top, classes)


# Units in each stage. 18, 34, 50, 101, 152: He et al. (arXiv 1512.03385), table 1. 10 and 26: the script that
# generated the released networks (cvjena/cnn-models, ResNet_preact).
DEPTHS: dict[int, tuple[Unit, tuple[int, int, int, int]]] = {
    10: (basic_unit, (1, 1, 1, 1)),
    18: (basic_unit, (2, 2, 2, 2)),
    26: (basic_unit, (3, 3, 3, 3)),
    34: (basic_unit, (3, 4, 6, 3)),
    50: (bottleneck_unit, (3, 4, 6, 3)),
    101: (bottleneck_unit, (3, 4, 23, 3)),
    152: (bottleneck_unit, (3, 8, 36, 3)),
}
