"""Axes of shapes, counted as Caffe's Blob counts them."""

from math import prod

from batchbrew.nets.shapes.registry import Refusal, Shape, by


def canonical_axis(shape: Shape, axis: int, field: str = "axis") -> int:
    """The index of `axis`, which may be negative, counted from the end. Raises Refusal if there is none."""
    if not -len(shape) <= axis < len(shape):
        raise Refusal(f"{field} {axis} is not one of the {len(shape)} axes of its bottom, {by(shape)}")
    return axis % len(shape)


def count(shape: Shape, start: int = 0, end: int | None = None) -> int:
    """The product of the lengths from axis `start` up to, and without, `end`."""
    return prod(shape[start:end])


def legacy_shape(shape: Shape) -> tuple[int, int, int, int]:
    """num, channels, height, width of a blob of at most four axes; missing ones have length 1."""
    if len(shape) > 4:
        raise Refusal(f"takes blobs of at most four axes, not {by(shape)}")
    padded = (*shape, 1, 1, 1, 1)
    return padded[0], padded[1], padded[2], padded[3]


def require_four_axes(shape: Shape) -> tuple[int, int, int, int]:
    """N×C×H×W. Raises Refusal for any other number of axes."""
    if len(shape) != 4:
        raise Refusal(f"takes a blob of four axes (N×C×H×W), not {by(shape)}")
    return shape[0], shape[1], shape[2], shape[3]
