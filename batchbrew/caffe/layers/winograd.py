"""3×3 convolutions of stride 1 with fewer multiplications: Winograd's algorithm (Lavin and Gray, 2015).

Tiles of 4×4 outputs take 36 multiplications per channel instead of 144. In float32 the largest error is 1e-6 to 2e-6
of the largest output, at most three times that of PyTorch's own kernels; tiles of 2×4 stay at theirs.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from batchbrew.caffe.layers.winograd_lines import FOUR, TWO, Line, Matrix
from batchbrew.caffe.layers.winograd_tiles import Tiles

Lines = tuple[Line, Line]  # down and across a tile


class Pays(NamedTuple):
    """For which of a convolution's three passes Winograd's algorithm is the faster one."""

    forward: bool
    down: bool
    weights: bool


def pays(images: int, channels_in: int, channels_out: int, height: int, width: int) -> Pays:
    """Measured on two cores with AVX-512 in float32; height and width are those of the output."""
    few = min(channels_in, channels_out)
    tiles = images * -(-height // 4) * -(-width // 4)
    used = images * height * width / (16 * tiles)
    enough = tiles >= 96 and used >= 0.7
    return Pays(enough and few >= 128, enough and few >= 128, enough and few >= 128)


class Winograd:
    """One group, 3×3 taps, stride and dilation 1, pads (vertical, horizontal) of 0 to 2; float32."""

    def __init__(
        self,
        pad: tuple[int, int],
        forward: Lines = (FOUR, FOUR),
        down: Lines = (TWO, FOUR),
        weights: Lines = (TWO, FOUR),
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
