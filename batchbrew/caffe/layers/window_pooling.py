"""Pooling of images N×C×H×W, as Pooling does it once and SPP several times."""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from batchbrew.caffe import mode
from batchbrew.caffe.float32 import LOWEST
from batchbrew.caffe.layers.im2col import COPIES, Columns
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.nets.shapes.registry import Refusal, Shape
from batchbrew.nets.shapes.windows import Window
from batchbrew.proto import caffe_pb2 as pb

LARGEST = 2**31 - 1  # kernel, stride and pad that PyTorch takes


class Grid(NamedTuple):
    """Where windows lie on the image: all of Caffe's rounding and clipping is in `positions`."""

    windows: Sequence[Window]
    positions: Sequence[int]
    image: Shape

    def native(self) -> dict[str, Any] | None:
        """The arguments with which PyTorch's poolings have the same windows; None where they never do.

        They take no pad of more than half a kernel, and always drop windows that begin beyond the image.
        """
        if any(w.pad * 2 > w.kernel or max(w) > LARGEST for w in self.windows):
            return None
        for ceil_mode in (False, True):
            sizes = [_native_size(w, s, ceil_mode) for w, s in zip(self.windows, self.image, strict=True)]
            if sizes == list(self.positions):
                kernel, stride, pad, _ = (list(each) for each in zip(*self.windows, strict=True))
                return {"kernel_size": kernel, "stride": stride, "padding": pad, "ceil_mode": ceil_mode}
        return None

    def columns(self, planes: int) -> Columns:
        """The same windows as columns. Raises Refusal if these take more memory than there is."""
        columns = Columns(self.windows, self.positions, self.image)
        MemoryLimit().check(columns.count(planes) * COPIES)
        return columns


def _native_size(window: Window, size: int, ceil_mode: bool) -> int:
    room = size + 2 * window.pad - window.kernel
    positions = (room + (window.stride - 1 if ceil_mode else 0)) // window.stride + 1
    return positions - (ceil_mode and (positions - 1) * window.stride >= size + window.pad)


class Pool(Protocol):
    """A way to pool."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What comes of it, and where in its plane (row · width + column) each number was, if it was anywhere."""

    def backward(self, gradient: Tensor, x: Tensor, indices: Tensor | None) -> Tensor:
        """The gradient of the image `x`, of which only shape and layout matter."""


def make_pool(method: int, grid: Grid, planes: int, phase: int) -> Pool:
    """The pool of Caffe's `method` for that many planes (N·C)."""
    native = grid.native()
    if method == pb.PoolingParameter.STOCHASTIC:
        columns = grid.columns(planes)
        return Sampled(columns) if phase == pb.TRAIN else Weighted(columns)
    if method == pb.PoolingParameter.MAX:
        return NativeMaximum(native) if native else Maximum(grid.columns(planes))
    return NativeMean(native) if native else Mean(grid.columns(planes), divisors(grid))


class NativeMaximum:
    """The largest of each window, the first of them in reading order; padding never counts. Not a number stays."""

    def __init__(self, how: dict[str, Any]) -> None:
        self._how = how

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """One call."""
        y, indices = torch.ops.aten.max_pool2d_with_indices(x, **self._how)
        return y, indices

    def backward(self, gradient: Tensor, x: Tensor, indices: Tensor | None) -> Tensor:
        """One call."""
        how = self._how
        result: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            gradient, x, how["kernel_size"], how["stride"], how["padding"], [1, 1], how["ceil_mode"], indices
        )
        return result


class NativeMean:
    """The mean of each window; its pad counts as zeros, what is beyond the padded image does not count."""

    def __init__(self, how: dict[str, Any]) -> None:
        self._how = how

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """One call."""
        result: Tensor = torch.ops.aten.avg_pool2d(x, **self._how, count_include_pad=True)
        return result, None

    def backward(self, gradient: Tensor, x: Tensor, indices: Tensor | None) -> Tensor:
        """One call."""
        how = self._how
        result: Tensor = torch.ops.aten.avg_pool2d_backward(
            gradient, x, how["kernel_size"], how["stride"], how["padding"], how["ceil_mode"], True, None
        )
        return result


class Mean:
    """The same for windows that PyTorch does not have."""

    def __init__(self, columns: Columns, counts: Tensor) -> None:
        self._columns, self._counts = columns, counts

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Add up and divide."""
        return self._columns.of(x).sum((2, 3)) / self._counts.to(x.device), None

    def backward(self, gradient: Tensor, x: Tensor, indices: Tensor | None) -> Tensor:
        """To each pixel of a window its part."""
        part = (gradient / self._counts.to(gradient.device))[:, :, None, None]
        kernel = self._columns.kernel
        return self._columns.adjoint(part.expand(-1, -1, *kernel, -1, -1))


class _Choosing:
    """Pools that take one pixel of each window; `None` where a window has none."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def backward(self, gradient: Tensor, x: Tensor, indices: Tensor | None) -> Tensor:
        """All of it to the pixel that was taken."""
        assert indices is not None
        planes = (*gradient.shape[:2], -1)
        taken = indices.reshape(planes)
        gradient = gradient.reshape(planes).masked_fill(taken < 0, 0)
        zeros = gradient.new_zeros(*planes[:2], prod(self._columns.image))
        return zeros.scatter_add_(2, taken.clamp(min=0), gradient).reshape(x.shape)

    def _places(self, taps: Tensor) -> Tensor:
        """From the numbers of taps to places in the plane; -1 for those beyond the image."""
        rows, columns = self._columns.places(taps.device)
        height, width = self._columns.image
        vertical = torch.arange(rows.shape[1], device=taps.device)[:, None]
        horizontal = torch.arange(columns.shape[1], device=taps.device)
        row = rows[taps // self._columns.kernel[1], vertical]
        column = columns[taps % self._columns.kernel[1], horizontal]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return torch.where(inside, row * width + column, -1)


class Maximum(_Choosing):
    """The maximum for windows that PyTorch does not have; without pixels it is the lowest number."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Over the taps of each window; `max` tells the first of equals."""
        y, taps = self._columns.of(x, -torch.inf).flatten(2, 3).max(2)
        return y.clamp(min=LOWEST), self._places(taps)


class Sampled(_Choosing):
    """Stochastic pooling in training (Zeiler and Fergus, 2013), as Caffe has it on GPUs alone: each pixel of a
    window, all of which should be 0 or more, is taken with a probability that grows with its value.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The first pixel at which the sum reaches a random part of the whole."""
        values = self._columns.of(x).flatten(2, 3)
        sums = values.cumsum(2)
        totals = sums[:, :, -1]
        parts = torch.empty_like(totals).uniform_(generator=mode.device_generator())
        taps = (sums >= (parts * totals)[:, :, None]).int().argmax(2)
        return values.gather(2, taps[:, :, None])[:, :, 0], self._places(taps)


class Weighted:
    """Stochastic pooling otherwise: the mean of each window, weighted by the values themselves."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Σ x² / Σ x; 0 where the sum is not positive."""
        values = self._columns.of(x)
        total = values.sum((2, 3))
        return torch.where(total > 0, values.square().sum((2, 3)) / total, 0), None

    def backward(self, gradient: Tensor, x: Tensor, indices: Tensor | None) -> Tensor:
        """Caffe has none: it would take the pixels of an earlier pass."""
        raise Refusal("has no gradient with pool: STOCHASTIC in phase TEST: use phase TRAIN, or pool: AVE")


def divisors(grid: Grid) -> Tensor:
    """How many pixels of the padded image each window covers (not positive where it begins beyond)."""
    lengths = []
    for window, positions, size in zip(grid.windows, grid.positions, grid.image, strict=True):
        starts = torch.arange(positions) * window.stride - window.pad
        lengths.append((starts + window.kernel).clamp(max=size + window.pad) - starts)
    return (lengths[0][:, None] * lengths[1]).float()
