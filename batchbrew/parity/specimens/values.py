"""What blobs are filled with: numbers at which a layer's result is well defined, and does not hang on rounding.

Each function returns another, `Values`, which draws float32 numbers in a given shape.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from batchbrew.nets.shapes import Shape

Array = np.ndarray[Any, np.dtype[np.float32]]
Values = Callable[[np.random.Generator, Shape], Array]


def usual(generator: np.random.Generator, shape: Shape) -> Array:
    """Both signs, none nearer to 0 than 0.02: kinks at 0 (ReLU, AbsVal) are left alone."""
    normal = generator.normal(size=shape)
    return np.asarray(normal + 0.02 * np.where(normal < 0, -1, 1), np.float32)


def normal(mean: float = 0, deviation: float = 1) -> Values:
    return lambda generator, shape: np.asarray(generator.normal(mean, deviation, shape), np.float32)


def between(low: float, high: float) -> Values:
    return lambda generator, shape: np.asarray(generator.uniform(low, high, shape), np.float32)


def constant(value: float) -> Values:
    return lambda generator, shape: np.full(shape, value, np.float32)


def integers(below: int, also: int | None = None) -> Values:
    """0 to below - 1, and now and then `also`: labels, indices. Nothing but `also` if `below` is 0."""

    def draw(generator: np.random.Generator, shape: Shape) -> Array:
        values = generator.integers(0, max(below, 1), shape)
        if also is not None:
            values = np.where(generator.random(shape) < 0.25, also, values)
        return np.asarray(values, np.float32)

    return draw


def indicators(probability: float = 0.5) -> Values:
    """0 or 1."""
    return lambda generator, shape: np.asarray(generator.random(shape) < probability, np.float32)


def distinct(generator: np.random.Generator, shape: Shape) -> Array:
    """No two alike, an eighth apart: what is largest is so by far."""
    count = int(np.prod(shape))
    order = generator.permutation(count) - count // 2
    return np.asarray(order.reshape(shape) / 8, np.float32)


def with_ties(generator: np.random.Generator, shape: Shape) -> Array:
    """Few different numbers, many of them 0, as after a ReLU: of equals, which is the largest?"""
    return np.asarray(np.maximum(generator.integers(-3, 4, shape), 0) / 2, np.float32)


def probabilities(along: int) -> Values:
    """Positive, and 1 in total along that axis."""

    def draw(generator: np.random.Generator, shape: Shape) -> Array:
        weights = generator.uniform(0.1, 1, shape)
        return np.asarray(weights / weights.sum(axis=along % len(shape), keepdims=True), np.float32)

    return draw


def pixels(generator: np.random.Generator, shape: Shape) -> Array:
    """Whole numbers from 0 to 255."""
    return np.asarray(generator.integers(0, 256, shape), np.float32)
