"""Im2col; and windows as columns, for what PyTorch has no kernel for."""

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.registry import Shape
from batchbrew.nets.shapes.windows import Window, convolution_windows

COPIES = 3  # of the columns there are so many at a time while they are laid out and used


class Columns:
    """Windows over any number of axes: what each of their taps reads at each of their positions.

    It is a gather, axis by axis: taps that lie beyond the image read `fill`, however wide the pad is.
    """

    def __init__(self, windows: Sequence[Window], positions: Sequence[int], image: Shape) -> None:
        self.image = tuple(image)
        self.kernel = tuple(window.kernel for window in windows)
        self.positions = tuple(positions)
        self._windows = windows

    def count(self, channels: int) -> int:
        """How many numbers all columns have; or, if that is more, those of axes that come first with the image of
        the others, out of which columns are gathered.
        """
        most = laid_out = channels * prod(self.image)
        for taps, positions, size in zip(self.kernel, self.positions, self.image, strict=True):
            laid_out = laid_out // size * taps * positions
            most = max(most, laid_out)
        return most

    def of(self, x: Tensor, fill: float = 0) -> Tensor:
        """N×C×image → N×C×kernel×positions."""
        for axis, places, outside in self._taps(x.device):
            x = x.index_select(axis, places.flatten())
            x = x.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
            x = x.masked_fill(_along(outside, axis, x.dim()), fill)
        taps = range(2, x.dim(), 2)
        return x.permute(0, 1, *taps, *(axis + 1 for axis in taps))

    def adjoint(self, columns: Tensor) -> Tensor:
        """N×C×kernel×positions → N×C×image: each pixel gets the sum of all taps that read it."""
        axes = len(self.image)
        pairs = [axis for spatial in range(axes) for axis in (2 + spatial, 2 + axes + spatial)]
        x = columns.permute(0, 1, *pairs)
        for axis, places, outside in reversed(list(self._taps(x.device))):
            x = x.masked_fill(_along(outside, axis, x.dim()), 0).flatten(axis, axis + 1)
            image = x.new_zeros(*x.shape[:axis], self.image[(axis - 2) // 2], *x.shape[axis + 1 :])
            x = image.index_add_(axis, places.flatten(), x)
        return x

    def places(self, device: torch.device) -> list[Tensor]:
        """Along each axis, kernel×positions: the coordinate that a tap reads, even beyond the image."""
        return [
            torch.arange(window.kernel, device=device)[:, None] * window.dilation
            + torch.arange(positions, device=device) * window.stride
            - window.pad
            for window, positions in zip(self._windows, self.positions, strict=True)
        ]

    def _taps(self, device: torch.device) -> Iterator[tuple[int, Tensor, Tensor]]:
        """For each axis its number, once those before it are two each; coordinates; which are beyond the image."""
        for index, (places, size) in enumerate(zip(self.places(device), self.image, strict=True)):
            inside = places.clamp(0, size - 1)
            yield 2 + 2 * index, inside, inside != places


def _along(mask: Tensor, axis: int, axes: int) -> Tensor:
    """A kernel×positions mask as one of `axes` axes, from `axis` on."""
    return mask.reshape(*mask.shape, *[1] * (axes - axis - 2))


@layer("Im2col")
class Im2col(StandardLayer):
    """Every window as a column of channels: C×image → (C·kernel)×positions."""

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Where the windows are."""
        shape = bottom[0].shape
        axis, windows = convolution_windows(self.layer_param.convolution_param, shape)
        self._images = (prod(shape[:axis]), *shape[axis:])
        self._columns = Columns(windows, top[0].shape[axis + 1 :], shape[axis + 1 :])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Gather."""
        x = bottom[0].data_tensor.reshape(self._images)
        top[0].data_tensor = self._columns.of(x).reshape(top[0].shape)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Add up; as in Caffe, whether asked for or not."""
        columns, (number, channels) = self._columns, self._images[:2]
        gradient = top[0].diff_tensor.reshape(number, channels, *columns.kernel, *columns.positions)
        bottom[0].diff_tensor = columns.adjoint(gradient).reshape(bottom[0].shape)
