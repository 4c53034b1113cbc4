"""The arithmetic of BatchNorm → Scale → ReLU, all three at once.

y = relu((x - mean)·inverse·factors + shifts), and its gradients. x is N×C or N×C×..., of float32 or bfloat16 numbers;
mean, variance, inverse (1/√(variance + eps)), factors and shifts are C float32 numbers each. Results have the memory
format and the precision of x. Fast for channels_last.

PyTorch's kernels for BatchNorm are as fast as memory, and are used for all that is large. On the CPU they have three
faults, which are avoided here: of channels_last they sum up the rows one by one in floats; they multiply x out before
they subtract the mean; and where channels are few they are slow, as they take a row at a time.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

FEW = 2**14  # numbers, for which calls cost more than arithmetic
FAR_TO_SUM = 8.0  # deviations from 0 to the mean, from where the kernels' sums lose too many digits
FAR_TO_MULTIPLY = 64.0  # the same for products
LONG = 2**11  # rows, from where several are taken as one: one by one, 4,000 lose 1e-5 of the variance
TOO_LONG = 2**14  # such rows, from where they are taken in parts
VERY_LONG = 2**17  # rows, from where even the gradients' sums lose too many digits
NARROW = 16  # channels, fewer than which are slow
WIDE = 2**10  # columns, which the processor's nearest cache still holds with their sums

_backward = torch.ops.aten.native_batch_norm_backward.default
_masked = torch.ops.aten.threshold_backward.default
_masked_into = torch.ops.aten.threshold_backward.grad_input


class Gradients(NamedTuple):
    """Of x, and of factors and shifts; None for what was not asked for."""

    x: Tensor | None
    factors: Tensor | None
    shifts: Tensor | None


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and variance of the numbers about it, of each channel."""
    if x.is_cuda:
        return torch.batch_norm_update_stats(x, None, None, 0)
    if x.numel() <= FEW or not _in_rows(x):
        return _statistics_in_steps(x)
    mean, variance = _statistics_of_rows(x)
    nearness = torch.addcmul(variance, mean, mean, value=-(FAR_TO_SUM**-2))
    if nearness.min() < 0:  # most often because all numbers of a channel are equal
        far = (nearness < 0).nonzero().flatten()
        mean[far], variance[far] = _statistics_in_steps(x[:, far])
    return mean, variance


def _statistics_in_steps(x: Tensor) -> tuple[Tensor, Tensor]:
    """By sums in pairs. The mean is corrected by that of the numbers about it: equal ones then have no variance."""
    axes = [0, *range(2, x.dim())]
    x = x.float()
    mean = x.mean(axes, keepdim=True)
    about = x - mean
    rest = about.mean(axes, keepdim=True)
    variance = about.square_().mean(axes, keepdim=True).addcmul_(rest, rest, value=-1)
    return mean.add_(rest).flatten(), variance.flatten()


def _statistics_of_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """By the kernel; where rows are many as the mean and the variance of parts of them."""
    rows, channels = x.numel() // x.shape[1], x.shape[1]
    if rows <= LONG:
        return _statistics_at_once(x)
    groups = _groups(x)
    count = _equal_parts(rows // groups)
    if not count:
        return _statistics_in_steps(x)
    parts = [_statistics_at_once(part) for part in _grouped(x, groups).chunk(count, 2)]
    means, variances = (torch.cat(each).view(-1, channels) for each in zip(*parts, strict=True))
    between, mean = torch.var_mean(means, 0, correction=0)
    return mean, between.add_(variances.mean(0))


def _statistics_at_once(x: Tensor) -> tuple[Tensor, Tensor]:
    unused = torch.empty(x.shape[1])  # float32, as the results then are, too
    return torch.batch_norm_update_stats(x, unused, unused, 0)


def apply(
    x: Tensor, mean: Tensor, inverse: Tensor, factors: Tensor | None, shifts: Tensor | None, rectify: bool
) -> Tensor:
    """y, of numbers normalised by `mean` and `inverse`."""
    if x.is_cuda:
        y = torch.batch_norm_elemt(x, factors, shifts, mean, inverse, 0.0)
        return y.relu_() if rectify else y
    scale = inverse if factors is None else inverse * factors
    if x.numel() > FEW and (mean * inverse).abs_().max() <= FAR_TO_MULTIPLY:
        y = _multiplied_out(x, mean, scale, shifts)
    else:
        y = (x - _for_channels(mean, x)).mul_(_for_channels(scale, x))
        y = (y if shifts is None else y.add_(_for_channels(shifts, x))).to(x.dtype)
    return y.relu_() if rectify else y


def _multiplied_out(x: Tensor, mean: Tensor, scale: Tensor, shifts: Tensor | None) -> Tensor:
    """x·scale + (shifts - mean·scale), by the kernel, to which the variance is 1."""
    if x.is_cuda:
        return torch.batch_norm_elemt(x, None, shifts, mean, scale, 0.0)
    if not _is_slow(x):
        return torch.native_batch_norm(x, scale, shifts, mean, torch.ones_like(mean), False, 0, 0)[0]
    groups = _groups(x)
    mean, scale = mean.repeat(groups), scale.repeat(groups)
    shifts = None if shifts is None else shifts.repeat(groups)
    wide = _grouped(x, groups)
    y = torch.native_batch_norm(wide, scale, shifts, mean, torch.ones_like(mean), False, 0, 0)[0]
    return y.as_strided(x.shape, x.stride())


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

    `y` is computed anew where it is needed, but not given. `added` is added to the gradient of x. `dy_is_ours`: it may
    be written over.
    """
    x = x if _in_rows(x) else x.contiguous()
    dy = _laid_out(dy, x)
    if rectify:
        y = apply(x, mean, inverse, factors, shifts, True) if y is None else _laid_out(y, x)
        dy = _masked_into(dy, y, 0, grad_input=dy) if dy_is_ours else _masked(dy, y, 0)
    dx = of_factors = of_shifts = None
    through = want_x and not constant
    if through and not _is_slow(x):
        long = x.numel() > VERY_LONG * x.shape[1] and not x.is_cuda
        apart = long and (want_factors or want_shifts)
        wanted = [True, want_factors and not apart, want_shifts and not apart]
        dx, of_factors, of_shifts = _backward(dy, x, factors, None, None, mean, inverse, True, 0, wanted)
        if apart:  # the gradient of x hardly shows what these sums lose
            of_factors, of_shifts = _sums(dy, x, mean, inverse)
    else:
        scale = inverse if factors is None else inverse * factors
        if through or want_factors or want_shifts:
            of_factors, of_shifts = sums = _sums(dy, x, mean, inverse)
            dx = _of_sums(dy, x, mean, inverse, scale, *sums) if through else None
        if want_x and constant:
            dx = _multiplied_out(dy, torch.zeros_like(mean), scale, None)
    if dx is not None and added is not None:
        dx.add_(added)
    return Gradients(dx, of_factors if want_factors else None, of_shifts if want_shifts else None)


def _sums(dy: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Σ dy·(x - mean)·inverse, and Σ dy."""
    groups = _groups(x) if _in_rows(x) and not x.is_cuda else 1
    if groups > 1:
        dy, x = _grouped(dy, groups), _grouped(x, groups)
        mean, inverse = mean.repeat(groups), inverse.repeat(groups)
    ones = torch.ones_like(mean)  # without factors a GPU gives no gradients of them
    _, products, sums = _backward(dy, x, ones, None, None, mean, inverse, True, 0, [False, True, True])
    return products.view(groups, -1).sum(0), sums.view(groups, -1).sum(0)


def _of_sums(
    dy: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, scale: Tensor, products: Tensor, sums: Tensor
) -> Tensor:
    """scale·(dy - sums/m - (x - mean)·inverse·products/m), for m numbers in a channel."""
    m = x.numel() // x.shape[1]
    dx = _multiplied_out(x, mean, scale * inverse * products / -m, scale * sums / -m)
    return dx.add_(_multiplied_out(dy, torch.zeros_like(mean), scale, None))


def _laid_out(y: Tensor, x: Tensor) -> Tensor:
    """In x's memory format."""
    return y if y.stride() == x.stride() else torch.empty_like(x).copy_(y)


def _in_rows(x: Tensor) -> bool:
    """Whether the numbers lie in memory as rows of C: channels_last, or N×C."""
    if x.dim() == 4:
        return x.is_contiguous(memory_format=torch.channels_last)
    return x.dim() == 2 and x.is_contiguous()


def _is_slow(x: Tensor) -> bool:
    """Whether the kernels must be given several rows as one."""
    return x.shape[1] < NARROW and x.numel() > FEW and _in_rows(x) and not x.is_cuda


def _groups(x: Tensor) -> int:
    """How many rows to take as one."""
    return _divisor(x.numel() // x.shape[1], max(1, WIDE // x.shape[1]))


@cache
def _divisor(number: int, most: int) -> int:
    return next(k for k in range(most, 0, -1) if number % k == 0)


def _equal_parts(rows: int) -> int:
    """The least number of parts of one length that are not long; 0 if there is none that is about right."""
    least = -(-rows // TOO_LONG)
    return next((k for k in range(least, 8 * least) if rows % k == 0), 0)


def _grouped(x: Tensor, groups: int) -> Tensor:
    """So many rows of `x` as one: the rows of one image, with as many times the channels."""
    columns = groups * x.shape[1]
    return x.as_strided((1, columns, x.numel() // columns, 1), (1, 1, columns, 1))


def _for_channels(numbers: Tensor, x: Tensor) -> Tensor:
    """C numbers in the shape in which they meet those of `x`, N×C..."""
    return numbers.view(-1, *[1] * (x.dim() - 2))
