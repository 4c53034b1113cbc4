"""The arithmetic of BatchNorm → Scale → ReLU, all three at once.

y = relu((x - mean)·inverse·factors + shifts), and its gradients. x is N×C or N×C×H×W, of float32 or bfloat16 numbers;
mean, variance, inverse (1/√(variance + eps)), factors and shifts are C float32 numbers each. Results have the memory
format and the precision of x. Fast for channels_last.

PyTorch's kernels for BatchNorm are as fast as memory. Two things are wrong with those for the CPU: they sum up the
rows of channels_last one by one in floats, and multiply x out before they subtract the mean.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

FEW = 2**16  # numbers, for which calls cost more than memory
BLOCK = 2**19  # numbers, which stay in the processor's cache from one step to the next
WIDTH = 2**11  # columns of a matrix whose sums stay in the processor's cache
LONG = 2**12  # rows, that many of which are summed up one by one without harm
FAR = 16.0  # standard deviations from 0 to the mean, from where floats lose digits


class Gradients(NamedTuple):
    """Of x, and of factors and shifts; None for those that were not asked for."""

    x: Tensor | None
    factors: Tensor | None
    shifts: Tensor | None


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and variance of the numbers about it, of each channel."""
    if x.is_cuda:
        return torch.batch_norm_update_stats(x, None, None, 0)
    if x.numel() <= FEW or not _is_matrix(x):
        return _statistics_in_steps(x)
    rows = _rows(x)
    groups = _groups(rows.shape[2], x.shape[1])
    if rows.shape[2] // groups > LONG:
        return _statistics_in_steps(x)
    mean, variance = _statistics_of_groups(rows, groups)
    far = mean.square() > FAR**2 * variance
    if far.any():  # sums of such numbers lose digits; most often all numbers of a channel are equal
        channels = far.nonzero().flatten()
        mean[channels], variance[channels] = _statistics_in_steps(x[:, channels])
    return mean, variance


def _statistics_in_steps(x: Tensor) -> tuple[Tensor, Tensor]:
    """By sums in pairs; the mean is corrected by that of the numbers about it: equal numbers then have no variance."""
    axes = [0, *range(2, x.dim())]
    wide = x.float()
    mean = wide.mean(axes, keepdim=True)
    parts = [(block - mean) for block in wide.chunk(1 + x.numel() // BLOCK)]
    sums = torch.stack([part.sum(axes) for part in parts]).sum(0)
    squares = torch.stack([part.square_().sum(axes) for part in parts]).sum(0)
    rest = sums.mul_(x.shape[1] / x.numel())
    variance = squares.mul_(x.shape[1] / x.numel()).addcmul_(rest, rest, value=-1).clamp_(min=0)
    return mean.flatten() + rest, variance


def _statistics_of_groups(rows: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """By those of as many groups of rows, which are few enough to be summed up one by one."""
    channels = rows.shape[1]
    unused = torch.zeros(2, groups * channels)
    means, variances = torch.batch_norm_update_stats(_grouped(rows, groups), unused[0], unused[1], 0)
    means, variances = means.view(groups, channels).double(), variances.view(groups, channels).double()
    mean = means.mean(0)
    return mean.float(), (variances.mean(0) + (means - mean).square_().mean(0)).float()


def apply(
    x: Tensor, mean: Tensor, inverse: Tensor, factors: Tensor | None, shifts: Tensor | None, rectify: bool
) -> Tensor:
    """y, of numbers normalised by `mean` and `inverse`."""
    scale = inverse if factors is None else inverse * factors
    if not x.is_cuda and (x.numel() <= FEW or (mean * inverse).abs().max() > FAR):
        y = _scaled(x - _for_channels(mean, x), torch.zeros_like(mean), scale, shifts, rectify)
        return y.to(x.dtype)
    return _scaled(x, mean, scale, shifts, rectify)


def _scaled(x: Tensor, mean: Tensor, scale: Tensor, shifts: Tensor | None, rectify: bool) -> Tensor:
    """(x - mean)·scale + shifts, by PyTorch's kernel, to which the variance is 1."""
    if not _is_matrix(x):
        x = x.contiguous()
    y, ones = torch.empty_like(x), torch.ones_like(mean)
    unused = mean.new_empty(0)
    parts, outs = ([x], [y]) if x.is_cuda or not _is_matrix(x) else (_parts(x), _parts(y))
    for part, out in zip(parts, outs, strict=True):
        torch.ops.aten.native_batch_norm.out(
            part, scale, shifts, mean, ones, False, 0, 0, out=out, save_mean=unused, save_invstd=unused
        )
        if rectify:
            out.relu_()
    return y


def gradients(
    dy: Tensor,
    y: Tensor | None,
    x: Tensor,
    mean: Tensor,
    inverse: Tensor,
    factors: Tensor | None,
    shifts: Tensor | None,
    *,
    rectify: bool,
    constant: bool = False,
    want_x: bool = True,
    want_factors: bool = False,
    want_shifts: bool = False,
    added: Tensor | None = None,
    dy_is_ours: bool = False,
) -> Gradients:
    """Of y's gradient `dy`. With `constant` statistics there is none through mean and variance.

    `y` is computed anew where it is not given, but needed. `added` is added to the gradient of x. `dy_is_ours`: it may
    be written over.
    """
    if not x.is_cuda and not _is_matrix(x):
        x = x.contiguous()
    dy_is_ours = dy_is_ours and dy.stride() == x.stride()
    dy = _like(dy, x)
    if rectify:
        y = apply(x, mean, inverse, factors, shifts, True) if y is None else _like(y, x)
        dy = torch.ops.aten.threshold_backward.grad_input(
            dy, y, 0, grad_input=dy if dy_is_ours else torch.empty_like(dy)
        )
    dx = dfactors = dshifts = None
    if want_x and constant:
        dx = apply(dy, torch.zeros_like(mean), inverse, factors, None, False)
    through = want_x and not constant
    if through or want_factors or want_shifts:
        matrix = _is_matrix(x)
        given, rows = (_rows(dy), _rows(x)) if matrix else (dy, x)
        computed, dfactors, dshifts = torch.ops.aten.native_batch_norm_backward(
            given, rows, factors, None, None, mean, inverse, True, 0, [through, want_factors, want_shifts]
        )
        dx = _as(computed, x) if through else dx
    if dx is not None and added is not None:
        dx.add_(added)
    return Gradients(dx, dfactors if want_factors else None, dshifts if want_shifts else None)


def _is_matrix(x: Tensor) -> bool:
    """Whether the numbers lie in memory as rows of C each: N×C, or channels_last."""
    return x.movedim(1, -1).is_contiguous()


def _rows(x: Tensor) -> Tensor:
    """The numbers, which are such a matrix, as one image of a row in height for each row, 1×C×(N·H·W)×1."""
    return x.movedim(1, -1).reshape(-1, x.shape[1]).t()[None, :, :, None]


def _parts(x: Tensor) -> Sequence[Tensor]:
    """Rows that stay in the processor's cache, and then the next."""
    return torch.split(_rows(x), max(1, BLOCK // x.shape[1]), 2)


def _as(rows: Tensor, x: Tensor) -> Tensor:
    """In x's shape again."""
    if rows.shape == x.shape and rows.stride() == x.stride():
        return rows
    return rows.as_strided(x.shape, x.stride())


def _like(y: Tensor, x: Tensor) -> Tensor:
    """With x's strides."""
    return y if y.stride() == x.stride() else torch.empty_like(x).copy_(y)


def _grouped(rows: Tensor, groups: int) -> Tensor:
    """Every so many rows as one, of as many times the channels."""
    _, channels, count, _ = rows.shape
    return rows.as_strided(
        (1, groups * channels, count // groups, 1), (1, 1, groups * channels, 1), rows.storage_offset()
    )


@cache
def _groups(rows: int, channels: int) -> int:
    """As many as divide the rows, and have sums that stay in the cache."""
    return next(count for count in range(max(1, WIDTH // channels), 0, -1) if rows % count == 0)


def _for_channels(numbers: Tensor, x: Tensor) -> Tensor:
    """C numbers in the shape in which they meet those of `x`, N×C..."""
    return numbers.view(-1, *[1] * (x.dim() - 2))
