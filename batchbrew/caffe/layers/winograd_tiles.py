"""Tiles of images for Winograd's convolution: cut out, transformed, put together; a band of them at a time."""

from collections.abc import Iterator
from math import ceil, prod
from typing import NamedTuple

import torch
from torch import Tensor

from batchbrew.caffe.layers.winograd_lines import Line, play, spares

LARGEST_BAND = 5 << 19  # floats of its transformed tiles: with all the rest of the scratch about 45 MB


class Band(NamedTuple):
    """Some rows of tiles of one image, or all of some images."""

    images: slice
    first: int
    last: int  # excluded

    @property
    def extent(self) -> tuple[int, int]:
        """Images and rows of tiles."""
        return self.images.stop - self.images.start, self.last - self.first


class Scratch:
    """Memory that each band uses again."""

    def __init__(self) -> None:
        self._memory: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Whatever was there under this name is gone."""
        memory = self._memory.get(name)
        if memory is None or memory.numel() < prod(shape):
            memory = self._memory[name] = torch.empty(prod(shape))
        return memory[: prod(shape)].view(shape)


class Tiles:
    """Outputs of height×width as tiles; all images N×H×W×C, all transformed tiles points × tiles × channels."""

    def __init__(self, down: Line, across: Line, height: int, width: int) -> None:
        self._down, self._across = down, across
        self._height, self._width = height, width
        self.rows, self.columns = ceil(height / down.outputs), ceil(width / across.outputs)
        self.points = down.points * across.points
        self._scratch = Scratch()

    def bands(self, images: int, channels: int) -> Iterator[Band]:
        """All tiles; of bands as equal as can be."""
        rows = max(1, LARGEST_BAND // (self.columns * self.points * channels))
        if rows < self.rows:
            rows = ceil(self.rows / ceil(self.rows / rows))
            for image in range(images):
                for first in range(0, self.rows, rows):
                    yield Band(slice(image, image + 1), first, min(first + rows, self.rows))
            return
        some = ceil(images / ceil(images / (rows // self.rows)))
        for image in range(0, images, some):
            yield Band(slice(image, min(image + some, images)), 0, self.rows)

    def of_images(self, x: Tensor, pad: tuple[int, int], band: Band) -> Tensor:
        """What the kernel's numbers are multiplied with."""
        down, across = self._down, self._across
        planes = self._planes(x, pad, band, overlap=2)
        lines = self._scratch.take("lines", down.points, *planes.shape[:1], band.extent[1], *planes.shape[2:])
        inputs = [planes[:, row :: down.outputs][:, : band.extent[1]] for row in range(down.points)]
        play(down.image, inputs, lines, self._spare(spares(down.image), lines[0]))
        tiles = self._tiles("images", x.shape[3], band)
        ends = [divmod(column, across.outputs) for column in range(across.points)]
        inputs = [lines[:, :, :, phase, start : start + self.columns] for start, phase in ends]
        play(across.image, inputs, tiles, self._spare(spares(across.image), tiles[0]))
        return tiles.view(self.points, -1, x.shape[3])

    def of_gradient(self, gradient: Tensor, band: Band) -> Tensor:
        """The gradient of the products, of which the outputs are made."""
        down, across = self._down, self._across
        planes = self._planes(gradient, (0, 0), band, overlap=0)
        lines = self._scratch.take("lines", down.points, *planes.shape[:1], band.extent[1], *planes.shape[2:])
        inputs = [planes[:, row :: down.outputs] for row in range(down.outputs)]
        play(down.gradient, inputs, lines, self._spare(spares(down.gradient), lines[0]))
        tiles = self._tiles("products", gradient.shape[3], band)
        inputs = list(lines.unbind(3))
        play(across.gradient, inputs, tiles, self._spare(spares(across.gradient), tiles[0]))
        return tiles.view(self.points, -1, gradient.shape[3])

    def room_for_products(self, channels: int, band: Band) -> Tensor:
        """Where `to_outputs` may find them."""
        return self._tiles("products", channels, band).view(self.points, -1, channels)

    def to_outputs(self, products: Tensor, band: Band, bias: Tensor | None, outputs: Tensor) -> None:
        """Write a band of all outputs."""
        down, across = self._down, self._across
        channels = outputs.shape[3]
        shape = (*band.extent, self.columns, channels)
        tiles = products.view(across.points, down.points, *shape)
        lines = self._scratch.take("lines", across.outputs, down.points, *shape)
        play(across.products, tiles, lines, self._spare(spares(across.products), lines[0]))
        part = outputs[band.images, band.first * down.outputs : band.last * down.outputs]
        size = (band.extent[0], band.extent[1] * down.outputs, self.columns * across.outputs, channels)
        whole = part if part.shape == size else self._scratch.take("planes", *size)
        pixels = whole.view(*band.extent, down.outputs, self.columns, across.outputs, channels)
        pixels = pixels.permute(2, 4, 0, 1, 3, 5)
        play(down.products, lines.unbind(1), pixels, self._spare(spares(down.products), lines[:, 0]))
        if whole is not part:
            part.copy_(whole[:, : part.shape[1], : part.shape[2]])
        if bias is not None:
            part += bias

    def _planes(self, x: Tensor, pad: tuple[int, int], band: Band, overlap: int) -> Tensor:
        """A band's pixels with zeros around them, as images × rows × phases × columns × channels.

        Columns of a phase are a tile's width apart, so that those of all tiles lie side by side.
        """
        height, phases = self._down.outputs, self._across.outputs
        rows, columns = band.extent[1] * height + overlap, self.columns + (overlap > 0)
        planes = self._scratch.take("planes", band.extent[0], rows, phases, columns, x.shape[3])
        top = band.first * height - pad[0]
        first, last = max(0, top), min(x.shape[1], top + rows)
        inside = planes[:, first - top : last - top]
        planes[:, : first - top] = 0
        planes[:, last - top :] = 0
        for phase in range(phases):
            skipped = max(0, ceil((pad[1] - phase) / phases))  # those that lie in the pad
            pixels = x[band.images, first:last, skipped * phases + phase - pad[1] :: phases]
            pixels = pixels[:, :, : columns - skipped]
            end = skipped + pixels.shape[2]
            inside[:, :, phase, skipped:end] = pixels
            inside[:, :, phase, :skipped] = 0
            inside[:, :, phase, end:] = 0
        return planes

    def _tiles(self, name: str, channels: int, band: Band) -> Tensor:
        points = self._across.points, self._down.points
        return self._scratch.take(name, *points, *band.extent, self.columns, channels)

    def _spare(self, count: int, like: Tensor) -> Tensor:
        return self._scratch.take("spare", count, *like.shape)
