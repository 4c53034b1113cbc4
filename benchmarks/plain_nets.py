"""The benchmark networks as a PyTorch user would write them by hand: nn.Module, nothing of ours.

They have the layers, and so the numbers of parameters, that the generators' prototxts have: in AlexNet and VGG19 only
the images' BatchNorm has a factor and a bias; the ResNets are pre-activation.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

FULLY_CONNECTED = 4096


def pooled(side: int, kernel: int, stride: int = 2) -> int:
    """The side of a pooled image; like Caffe, these nets round it up."""
    return -(-(side - kernel) // stride) + 1


def max_pool(kernel: int) -> nn.Module:
    """Stride 2."""
    return nn.MaxPool2d(kernel, 2, ceil_mode=True)


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int, stride: int = 1, pad: int = 0, groups: int = 1
) -> list[nn.Module]:
    """AlexNet's and VGG's: a bias, though a BatchNorm follows, which has no factors."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups)
    return [conv, nn.BatchNorm2d(outputs, affine=False), nn.ReLU(inplace=True)]


def classifier(inputs: int, classes: int) -> list[nn.Module]:
    """Two hidden layers, and the scores."""
    hidden: list[nn.Module] = []
    for width in (inputs, FULLY_CONNECTED):
        norm = nn.BatchNorm1d(FULLY_CONNECTED, affine=False)
        hidden += [nn.Linear(width, FULLY_CONNECTED), norm, nn.ReLU(inplace=True)]
    return [nn.Flatten(), *hidden, nn.Linear(FULLY_CONNECTED, classes)]


def alexnet(classes: int, crop: int) -> nn.Module:
    """AlexNet-BN."""
    side = pooled(pooled(pooled((crop - 11) // 4 + 1, 3), 3), 3)
    return nn.Sequential(
        nn.BatchNorm2d(3),
        *conv_bn_relu(3, 96, 11, stride=4),
        max_pool(3),
        *conv_bn_relu(96, 256, 5, pad=2, groups=2),
        max_pool(3),
        *conv_bn_relu(256, 384, 3, pad=1),
        *conv_bn_relu(384, 384, 3, pad=1, groups=2),
        *conv_bn_relu(384, 256, 3, pad=1, groups=2),
        max_pool(3),
        *classifier(256 * side * side, classes),
    )


def vgg19(classes: int, crop: int) -> nn.Module:
    """VGG19-BN."""
    layers: list[nn.Module] = [nn.BatchNorm2d(3)]
    width, side = 3, crop
    for outputs, convolutions in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(convolutions):
            layers += conv_bn_relu(width, outputs, 3, pad=1)
            width = outputs
        layers.append(max_pool(2))
        side = pooled(side, 2)
    return nn.Sequential(*layers, *classifier(width * side * side, classes))


class Unit(nn.Module):
    """What basic and bottleneck units share: `opening` is the net's first one, whose input is rectified already."""

    def __init__(self, inputs: int, opening: bool) -> None:
        super().__init__()
        self.bn1 = None if opening else nn.BatchNorm2d(inputs)

    def activated(self, x: Tensor) -> Tensor:
        """What the unit's first convolution reads."""
        return x if self.bn1 is None else functional.relu(self.bn1(x), inplace=True)


class BasicUnit(Unit):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, opening: bool, projects: bool) -> None:
        super().__init__(inputs, opening)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.expand = nn.Conv2d(inputs, width, 1, stride, bias=False) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W."""
        first = self.activated(x)
        branch: Tensor = self.conv2(functional.relu(self.bn2(self.conv1(first)), inplace=True))
        return branch + (x if self.expand is None else self.expand(first))


class BottleneckUnit(Unit):
    """A narrow 3×3 convolution between two 1×1; the opening unit projects what its own conv1 made, as released."""

    def __init__(self, inputs: int, width: int, stride: int, opening: bool, projects: bool) -> None:
        super().__init__(inputs, opening)
        self.opening = opening
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.expand = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W."""
        first = self.activated(x)
        reduced = functional.relu(self.bn2(self.conv1(first)), inplace=True)
        branch: Tensor = functional.relu(self.bn3(self.conv2(reduced)), inplace=True)
        branch = self.conv3(branch)
        return branch + (x if self.expand is None else self.expand(reduced if self.opening else first))


def resnet(
    unit: type[BasicUnit] | type[BottleneckUnit], counts: tuple[int, ...], expansion: int, classes: int
) -> nn.Module:
    """A pre-activation ResNet with so many units in each stage."""
    layers: list[nn.Module] = [nn.BatchNorm2d(3), nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64)]
    layers += [nn.ReLU(inplace=True), max_pool(3)]
    inputs = 64
    for stage, count in enumerate(counts):
        width = 64 << stage
        for number in range(count):
            stride = 2 if stage and not number else 1
            opening = not stage and not number
            projects = stride > 1 or inputs != expansion * width
            layers.append(unit(inputs, width, stride, opening, projects))
            inputs = expansion * width
    end = [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *end, nn.Linear(inputs, classes))


# By name: (classes, crop) -> net
PLAIN_NETS: dict[str, Callable[[int, int], nn.Module]] = {
    "alexnet": alexnet,
    "vgg19": vgg19,
    "resnet10": lambda classes, crop: resnet(BasicUnit, (1, 1, 1, 1), 1, classes),
    "resnet50": lambda classes, crop: resnet(BottleneckUnit, (3, 4, 6, 3), 4, classes),
}


def parameters_of(net: nn.Module) -> int:
    """How many numbers it learns."""
    return sum(parameter.numel() for parameter in net.parameters())


def statistics_of(net: nn.Module) -> int:
    """How many numbers its BatchNorms collect; Caffe's keep one more each, where these count batches."""
    buffers = [buffer for buffer in net.buffers() if buffer.dtype == torch.float32]
    return sum(buffer.numel() for buffer in buffers) + len(buffers) // 2
