"""One axis of an array at other positions: nearest, linear, Catmull-Rom, and B-splines as SciPy has them.

Positions are in pixels of the array, 0 being the middle of the first. All of these are separable: an image is
resized along its columns, then along its rows.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

# poles of the recursive filters that turn samples into B-spline coefficients (Unser, Aldroubi, Eden 1993)
POLES = {2: math.sqrt(8) - 3, 3: math.sqrt(3) - 2}


def nearest(array: Floats, axis: int, positions: Floats) -> Floats:
    """The closest samples, the further one of two equally close; 0 beyond the ends."""
    half = positions.dtype.type(0.5)
    away = np.where(positions > 0, positions + half, positions - half)
    return _taken(array, axis, np.trunc(away).astype(np.int64))


def linear(array: Floats, axis: int, positions: Floats) -> Floats:
    """Between two neighbours; beyond the ends there is 0, towards which the last half pixel falls off."""
    lower = np.floor(positions)
    share = _along(positions - lower, array, axis)
    below = _taken(array, axis, lower.astype(np.int64))
    above = _taken(array, axis, np.ceil(positions).astype(np.int64))
    return (1 - share) * below + share * above


def catmull_rom(array: Floats, axis: int, positions: Floats) -> Floats:
    """A cubic through four neighbours (Keys 1981, a = -0.5); beyond the ends there is 0."""
    lower = np.floor(positions)
    x = _along(positions - lower, array, axis)
    start = lower.astype(np.int64)
    before, left, right, after = (_taken(array, axis, start + step) for step in (-1, 0, 1, 2))
    one = x.dtype.type
    cubic = one(3) * (left - right) + after - before
    square = one(2) * before - one(5) * left + one(4) * right - after + x * cubic
    return left + one(0.5) * x * (right - before + x * square)


def b_spline(array: Floats, axis: int, positions: Floats, order: int) -> Floats:
    """The B-spline of `order` 0 to 3 through the samples, mirrored at its ends; 0 where a position is beyond them.

    As scipy.ndimage does with mode="constant": not even the first half of the outermost pixels is inside.
    """
    length = array.shape[axis]
    coefficients = _coefficients(array, axis, POLES[order]) if order in POLES else array
    start = np.floor(positions if order % 2 else positions + 0.5).astype(np.int64) - order // 2
    weights = _WEIGHTS[order](positions - (start + order // 2))
    inside = (positions >= 0) & (positions <= length - 1)
    result: Floats = np.zeros(1)
    for step, weight in enumerate(weights):
        neighbour = np.take(coefficients, _mirrored(start + step, length), axis)
        result = result + neighbour * _along(np.where(inside, weight, 0.0), array, axis)
    return result


def _taken(array: Floats, axis: int, indices: Indices) -> Floats:
    """Samples by index, 0 for those that do not exist."""
    length = array.shape[axis]
    samples = np.take(array, np.clip(indices, 0, length - 1), axis)
    outside = (indices < 0) | (indices >= length)
    if outside.any():
        samples[(slice(None),) * axis + (outside,)] = 0
    return samples


def _along(values: Floats, array: Floats, axis: int) -> Floats:
    """`values`, one for each place of `axis`, in a shape that numpy spreads over the other axes of `array`."""
    return values.reshape([-1 if other == axis else 1 for other in range(array.ndim)])


def _mirrored(indices: Indices, length: int) -> Indices:
    """Indices beyond the ends, reflected at the middle of the outermost samples."""
    if length == 1:
        return np.zeros_like(indices)
    period = 2 * (length - 1)
    inside = np.abs(indices) % period
    return np.where(inside < length, inside, period - inside)


def _coefficients(array: Floats, axis: int, pole: float) -> Floats:
    """What to weight with B-splines so that the curve goes through the samples: a filter forth and back."""
    length = array.shape[axis]
    if length == 1:
        return array
    values = np.moveaxis(array, axis, 0) * ((1 - pole) * (1 - 1 / pole))
    powers = pole ** np.arange(1, length - 1) + pole ** (2 * length - 2 - np.arange(1, length - 1))
    first = values[0] + pole ** (length - 1) * values[-1] + np.tensordot(powers, values[1:-1], 1)
    values[0] = first / (1 - pole ** (2 * length - 2))
    for index in range(1, length):
        values[index] += pole * values[index - 1]
    values[-1] = (pole * values[-2] + values[-1]) * pole / (pole * pole - 1)
    for index in range(length - 2, -1, -1):
        values[index] = pole * (values[index + 1] - values[index])
    return np.moveaxis(values, 0, axis)


Weights = Callable[[Floats], list[Floats]]

# of the neighbours from the first one on; x is the distance to the neighbour number order // 2
_WEIGHTS: dict[int, Weights] = {
    0: lambda x: [np.ones_like(x)],
    1: lambda x: [1 - x, x],
    2: lambda x: [0.5 * (0.5 - x) ** 2, 0.75 - x * x, 0.5 * (0.5 + x) ** 2],
    3: lambda x: [
        (1 - x) ** 3 / 6,
        (4 - 6 * x**2 + 3 * x**3) / 6,
        (1 + 3 * x + 3 * x**2 - 3 * x**3) / 6,
        x**3 / 6,
    ],
}
