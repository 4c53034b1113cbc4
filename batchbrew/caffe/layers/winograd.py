"""3×3 convolutions of stride 1 with fewer multiplications: Winograd's algorithm (Lavin and Gray, 2015).

Tiles of 4×4 outputs take 36 multiplications per channel instead of 144; tiles of 2×4 take 24 instead of 72 and are
twice as exact. In float32, the largest error of 4×4 is 1e-6 to 2e-6 of the largest output, up to twice that of
PyTorch's own kernels; input gradients of 4×4 reach 2.4e-6, weight gradients four times PyTorch's, so both have 2×4.
"""

from math import ceil, inf
from typing import NamedTuple

import torch
from torch import Tensor

from batchbrew.caffe.layers.winograd_lines import FOUR, TWO, Line, Matrix
from batchbrew.caffe.layers.winograd_tiles import LARGEST_BAND, Tiles

Lines = tuple[Line, Line]  # down and across a tile

FORWARD: Lines = (FOUR, FOUR)
DOWN: Lines = (TWO, FOUR)
WEIGHTS: Lines = (TWO, FOUR)

# Nanoseconds on one core with AVX-512 (Zen 4), float32, that give measured times to a tenth
OF_A_PRODUCT = 1 / 40  # in a matrix product
OF_A_PRODUCT_DIRECT = 1 / 57  # in PyTorch's convolution, and in the gradient of its input
OF_A_PRODUCT_LEARNED = 1 / 50  # in the gradient of its weights
OF_AN_INPUT = 1.25  # for each number of a transformed tile of inputs
OF_AN_OUTPUT = 1.0
OF_A_KERNEL = 1.0  # for each number of the transformed kernels
OF_A_BAND = 0.3  # for each number of the transformed kernels again, in each band
MARGIN = 1.15

MOST_OF_KERNELS = 1 << 24  # numbers, 64 MB
# With fewer addends PyTorch's own sums are more than three times as exact.
FEWEST_CHANNELS = 128
FEWEST_POSITIONS = 1500


class Pays(NamedTuple):
    """For which of a convolution's three passes Winograd's algorithm is the one to take."""

    forward: bool
    down: bool
    weights: bool


def pays(images: int, channels_in: int, channels_out: int, height: int, width: int) -> Pays:
    """Where it is faster, and exact enough, and needs little memory; height and width are those of the output."""
    positions = images * height * width
    products = positions * channels_in * channels_out * 9
    directly, learned = products * OF_A_PRODUCT_DIRECT / MARGIN, products * OF_A_PRODUCT_LEARNED / MARGIN
    forward, down, weights = (Tiles(*lines, height, width) for lines in (FORWARD, DOWN, WEIGHTS))
    return Pays(
        channels_in >= FEWEST_CHANNELS
        and _nanoseconds(forward, images, (channels_in, channels_out)) < directly,
        channels_out >= FEWEST_CHANNELS
        and _nanoseconds(down, images, (channels_out, channels_in)) < directly,
        positions >= FEWEST_POSITIONS
        and _nanoseconds(weights, images, (channels_in, channels_out)) < learned,
    )


def _nanoseconds(tiles: Tiles, images: int, channels: tuple[int, int]) -> float:
    """What a pass takes on one core; infinity where it needs too much memory."""
    kernels = tiles.points * channels[0] * channels[1]
    row = tiles.columns * tiles.points * max(channels)
    if kernels > MOST_OF_KERNELS or row > LARGEST_BAND:
        return inf
    everywhere = images * tiles.rows * tiles.columns
    bands = ceil(images * tiles.rows * row / LARGEST_BAND)
    return (
        everywhere * kernels * OF_A_PRODUCT
        + everywhere * tiles.points * (channels[0] * OF_AN_INPUT + channels[1] * OF_AN_OUTPUT)
        + kernels * (OF_A_KERNEL + bands * OF_A_BAND)
    )


class Winograd:
    """One group, 3×3 taps, stride and dilation 1, pads (vertical, horizontal) of 0 to 2; float32."""

    def __init__(
        self,
        pad: tuple[int, int],
        forward: Lines = FORWARD,
        down: Lines = DOWN,
        weights: Lines = WEIGHTS,
    ) -> None:
        assert all(0 <= each <= 2 for each in pad)
        self._pad = pad
        self._forward, self._down, self._weights = forward, down, weights

    def forward(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution, in channels_last."""
        kernels = _kernels(self._forward, weights, turned=False).transpose(1, 2)
        return _convolve(self._forward, x, self._pad, kernels, bias)

    def backward(
        self, gradient: Tensor, x: Tensor, weights: Tensor, asked: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of input, weights and bias; None where not asked for."""
        down, learned, biased = asked
        return (
            self._back(gradient, weights) if down else None,
            self._learn(gradient, x, weights) if learned else None,
            gradient.sum((0, 2, 3)) if biased else None,
        )

    def _back(self, gradient: Tensor, weights: Tensor) -> Tensor:
        """A convolution with kernels that stand on their head; inputs and outputs change places."""
        pad = (2 - self._pad[0], 2 - self._pad[1])
        return _convolve(self._down, gradient, pad, _kernels(self._down, weights, turned=True), None)

    def _learn(self, gradient: Tensor, x: Tensor, weights: Tensor) -> Tensor:
        many, channels, height, width = len(weights), x.shape[1], *gradient.shape[2:]
        tiles = Tiles(*self._weights, height, width)
        found = torch.zeros(tiles.points, many, channels)
        for band in tiles.bands(len(x), max(channels, many)):
            images = tiles.of_images(x.permute(0, 2, 3, 1), self._pad, band)
            wanted = tiles.of_gradient(gradient.permute(0, 2, 3, 1), band)
            torch.baddbmm(found, wanted.transpose(1, 2), images, out=found)
        taps = _squares([line.kernel_gradient for line in self._weights], turned=False)
        return torch.mm(taps.T, found.flatten(1)).T.reshape(weights.shape)


def _convolve(lines: Lines, x: Tensor, pad: tuple[int, int], kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Kernels are points × channels × outputs."""
    _, channels, many = kernels.shape
    height, width = (size + 2 * each - 2 for size, each in zip(x.shape[2:], pad, strict=True))
    outputs = torch.empty(len(x), height, width, many)
    tiles = Tiles(*lines, height, width)
    for band in tiles.bands(len(x), max(channels, many)):
        images = tiles.of_images(x.permute(0, 2, 3, 1), pad, band)
        products = torch.bmm(images, kernels, out=tiles.room_for_products(many, band))
        tiles.to_outputs(products, band, bias, outputs)
    return outputs.permute(0, 3, 1, 2)


def _kernels(lines: Lines, weights: Tensor, turned: bool) -> Tensor:
    """Points × outputs × channels; turned, of kernels that stand on their head."""
    taps = _squares([line.kernel for line in lines], turned)
    return torch.mm(taps, weights.reshape(-1, 9).T).view(-1, *weights.shape[:2])


def _squares(down_and_across: list[Matrix], turned: bool) -> Tensor:
    """(points across · points down) × 9 taps."""
    vertical, horizontal = (torch.tensor(each, dtype=torch.float64) for each in down_and_across)
    if turned:
        vertical, horizontal = vertical.flip(1), horizontal.flip(1)
    return torch.einsum("hx,vy->hvyx", horizontal, vertical).reshape(-1, 9).float()
