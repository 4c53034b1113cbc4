"""Winograd's convolution of a line by three taps (Lavin and Gray, 2015, arXiv 1509.09308), as steps of sums.

A line of inputs x becomes one number per point: image(x). Multiplied by the kernel's number of that point, these
become the line's outputs: products(image(x)·kernel) is the convolution. `gradient` is the transpose of `products`,
with which the same multiplications give the kernel's gradient: kernelᵀ(gradient(dy)·image(x)).

A plane is a tile's row or column of planes: two lines make a tile, one down, one across.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

Matrix = tuple[tuple[float, float, float], ...]


class Step(NamedTuple):
    """target = left + factor·right, or left alone; names are x, y or s (inputs, outputs, spare planes) and a number."""

    target: str
    left: str
    factor: float = 0
    right: str | None = None


class Line(NamedTuple):
    """How to compute `outputs` neighbours at once: with outputs + 2 multiplications instead of 3 · outputs."""

    outputs: int
    image: tuple[Step, ...]  # outputs + 2 pixels → points
    products: tuple[Step, ...]  # points → outputs
    gradient: tuple[Step, ...]  # outputs → points
    kernel: Matrix  # points × taps, that goes with `products`
    kernel_gradient: Matrix  # points × taps, that goes with `gradient`

    @property
    def points(self) -> int:
        """Multiplications for the line."""
        return self.outputs + 2


def spares(steps: Sequence[Step]) -> int:
    """How many spare planes they need."""
    return 1 + max((int(step.target[1]) for step in steps if step.target[0] == "s"), default=-1)


Planes = Sequence[Tensor] | Tensor


def play(steps: Sequence[Step], x: Planes, y: Planes, s: Planes) -> None:
    """Compute y from x, with s to write on."""
    named = {"x": x, "y": y, "s": s}
    planes = {f"{name}{number}": plane for name, some in named.items() for number, plane in enumerate(some)}
    for target, left, factor, right in steps:
        if right is None:
            planes[target].copy_(planes[left])
        else:
            torch.add(planes[left], planes[right], alpha=factor, out=planes[target])


_HALVES: Matrix = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))

# points 0, 1, -1 and infinity
TWO = Line(
    outputs=2,
    image=(
        Step("y0", "x0", -1, "x2"),
        Step("y1", "x1", 1, "x2"),
        Step("y2", "x2", -1, "x1"),
        Step("y3", "x3", -1, "x1"),
    ),
    products=(
        Step("s0", "x1", 1, "x2"),
        Step("s1", "x1", -1, "x2"),
        Step("y0", "x0", 1, "s0"),
        Step("y1", "s1", 1, "x3"),
    ),
    gradient=(
        Step("y0", "x0"),
        Step("y1", "x0", 1, "x1"),
        Step("y2", "x0", -1, "x1"),
        Step("y3", "x1"),
    ),
    kernel=_HALVES,
    kernel_gradient=_HALVES,
)

_A, _B = sqrt(0.5), sqrt(2)


def _kernel_of_four(near: float, far: float) -> Matrix:
    """Points 0, ±√½, ±√2 and infinity; the products of ±√½ and ±√2 times `near` and `far`."""
    p, q = -near / 1.5, far / 6
    return (
        (1, 0, 0),
        (p, p * _A, p / 2), (p, -p * _A, p / 2),
        (q, q * _B, q * 2), (q, -q * _B, q * 2),
        (0, 0, 1),
    )  # fmt: skip


# Points ±√½ and ±√2 keep the float32 error at a quarter of what the usual ±1 and ±2 have.
FOUR = Line(
    outputs=4,
    image=(
        Step("y0", "x0", -2.5, "x2"),
        Step("y0", "y0", 1, "x4"),
        Step("s0", "x4", -2, "x2"),
        Step("s1", "x3", -2, "x1"),
        Step("y1", "s0", _A, "s1"),
        Step("y2", "s0", -_A, "s1"),
        Step("s0", "x4", -0.5, "x2"),
        Step("s1", "x3", -0.5, "x1"),
        Step("y3", "s0", _B, "s1"),
        Step("y4", "s0", -_B, "s1"),
        Step("y5", "x5", -2.5, "x3"),
        Step("y5", "y5", 1, "x1"),
    ),
    products=(
        Step("s0", "x1", 1, "x2"),
        Step("s1", "x1", -1, "x2"),
        Step("s2", "x3", 1, "x4"),
        Step("s3", "x3", -1, "x4"),
        Step("y1", "s1", _A, "s3"),
        Step("y2", "s2", _A, "s0"),
        Step("s0", "x0", _B, "s0"),
        Step("y0", "s0", 0.5, "s2"),
        Step("s1", "x5", 0.5, "s1"),
        Step("y3", "s1", _B, "s3"),
    ),
    gradient=(
        Step("y0", "x0"),
        Step("s0", "x0", 0.5, "x2"),
        Step("s1", "x1", 0.5, "x3"),
        Step("y1", "s0", _A, "s1"),
        Step("y2", "s0", -_A, "s1"),
        Step("s0", "x0", 2, "x2"),
        Step("s1", "x1", 2, "x3"),
        Step("y3", "s0", _B, "s1"),
        Step("y4", "s0", -_B, "s1"),
        Step("y5", "x3"),
    ),
    kernel=_kernel_of_four(near=_A, far=2),
    kernel_gradient=_kernel_of_four(near=1, far=1),
)
