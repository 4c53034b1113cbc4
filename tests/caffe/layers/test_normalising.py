"""BatchNorm, Scale and ReLU at once, against the formulas in float64."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from batchbrew.caffe.layers import normalising
from batchbrew.caffe.layers.normalising import FEW, LONG, VERY_LONG, Gradients, apply, gradients, statistics

EPSILON = 1e-5
EXACT = 1e-5  # of the largest number
COARSE = 2**-7  # of bfloat16, whose numbers have 8 bits: twice its rounding, which sums of two such show

SMALL = [(6, 3), (1, 4), (4, 3, 5), (2, 3, 3, 2), (3, 1, 4, 5), (2, 3, 2, 2, 3), (1, 2, 1, 1)]
LARGE = [
    (8, 24, 11, 9),
    (400, 48),
    (4, 3, 47, 53),
    (2, 17, 31, 29),
    (4, 16, 33, 32),
    (1, 8, 65, 71),
    (2, 1, 99, 101),
]
LAYOUTS = ["plain", "channels last", "turned"]


class Sample(NamedTuple):
    """x, with what Scale has learned, and what comes back from behind."""

    x: Tensor
    factors: Tensor
    shifts: Tensor
    dy: Tensor
    added: Tensor


def laid_out(x: Tensor, layout: str) -> Tensor:
    if layout == "channels last" and x.dim() == 4:
        return x.contiguous(memory_format=torch.channels_last)
    return x.transpose(0, -1).contiguous().transpose(0, -1) if layout == "turned" else x


def draw(
    shape: tuple[int, ...], layout: str = "channels last", mean: float = 1, dtype: torch.dtype = torch.float32
) -> Sample:
    """Channels of different means and deviations; the last is all of one number."""
    generator = torch.Generator().manual_seed(len(shape) + shape[0])

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    channels = shape[1]
    x = normal(*shape) * as_channels(normal(channels).exp(), len(shape))
    x += mean * as_channels(normal(channels), len(shape))
    if channels > 1:
        x[:, -1] = mean / 3
    dy, added = (laid_out(normal(*shape).to(dtype), layout) for _ in range(2))
    return Sample(laid_out(x.to(dtype), layout), normal(channels), normal(channels), dy, added)


def as_channels(numbers: Tensor, axes: int) -> Tensor:
    return numbers.reshape(1, -1, *[1] * (axes - 2))


class Exact:
    """The same in float64, from the statistics that were found in float32."""

    def __init__(self, sample: Sample, mean: Tensor, inverse: Tensor, scaled: bool = True) -> None:
        self.x = sample.x.double()
        self.axes = [0, *range(2, self.x.dim())]
        self.scale = self.wide(sample.factors) if scaled else torch.ones(())
        self.inverse = self.wide(inverse)
        self.normalised = (self.x - self.wide(mean)) * self.inverse
        self.y = self.normalised * self.scale + (self.wide(sample.shifts) if scaled else 0)

    def wide(self, numbers: Tensor) -> Tensor:
        return as_channels(numbers.double(), self.x.dim())

    def gradients(self, dy: Tensor, constant: bool = False) -> Gradients:
        products, sums = (dy * self.normalised).sum(self.axes), dy.sum(self.axes)
        m = self.x.numel() // self.x.shape[1]
        through = 0 if constant else (self.wide(sums) + self.normalised * self.wide(products)) / m
        return Gradients(self.scale * self.inverse * (dy - through), products, sums)


def inverse_of(variance: Tensor) -> Tensor:
    return (variance + EPSILON).rsqrt()


def assert_near(found: Tensor | None, exact: Tensor | None, tolerance: float, size: float = 0) -> None:
    """`size`: of the numbers of which `exact` is a difference."""
    assert found is not None and exact is not None
    assert found.shape == exact.shape
    error = (found.double() - exact).abs().max().item()
    assert error <= tolerance * max(exact.abs().max().item(), size), error


def assert_statistics(x: Tensor) -> None:
    mean, variance = statistics(x)
    axes = [0, *range(2, x.dim())]
    wide = x.double()
    exact, squares = wide.mean(axes), wide.var(axes, correction=0)
    largest = (wide - as_channels(exact, x.dim())).abs().amax(axes)
    assert mean.dtype == variance.dtype == torch.float32
    assert bool(((mean - exact).abs() <= EXACT * largest + exact.abs() * 2**-23).all())
    assert bool(((variance - squares).abs() <= EXACT * (squares + EPSILON)).all())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SMALL, *LARGE], ids=str)
def test_statistics_are_those_of_float64(shape: tuple[int, ...], layout: str) -> None:
    for mean in (0, 1, 30, 1e4):
        assert_statistics(draw(shape, layout, mean).x)
    assert_statistics(draw(shape, layout, 1, torch.bfloat16).x)


def test_statistics_of_the_worst_kinds() -> None:
    prime = draw((20477, 16)).dy  # rows, which no equal parts can be made of
    assert_statistics(torch.where(prime > 0, 1.14, 0.86))
    outlier = torch.zeros(2, 16, 64, 64).contiguous(memory_format=torch.channels_last)
    outlier[0, :, 0, 0] = 1e4
    assert_statistics(outlier)


def test_statistics_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalising, "TOO_LONG", 100)
    for mean in (0, 7):
        assert_statistics(draw((3 * LONG, 50), mean=mean).x)


def test_statistics_by_hand() -> None:
    mean, variance = statistics(torch.tensor([[1.0, 5], [3, 5]]))
    assert mean.tolist() == [2, 5]
    assert variance.tolist() == [1, 0]


def test_numbers_that_are_all_equal_have_no_variance() -> None:
    for shape in ((3, 2), (16, 32, 30, 30)):
        x = torch.full(shape, 1e4 + 0.3)
        mean, variance = statistics(laid_out(x, "channels last"))
        assert (mean - x[0, 0].flatten()[0]).abs().max() <= 2**-10  # the last bit
        assert variance.abs().max() < 1e-7


def test_what_is_not_finite_stays_so() -> None:
    for bad in (np.nan, np.inf):
        for shape in ((4, 3), (16, 32, 30, 30)):
            x = laid_out(torch.ones(shape), "channels last")
            x[0, 1] = bad
            mean, variance = statistics(x)
            assert mean.isfinite().tolist() == [channel != 1 for channel in range(shape[1])]
            y = apply(x, mean, inverse_of(variance), None, None, True)
            assert y[:, 1].isnan().all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SMALL, *LARGE], ids=str)
@pytest.mark.parametrize("mean", [1, 1e4])
def test_results_are_those_of_float64(shape: tuple[int, ...], layout: str, mean: float) -> None:
    for dtype, tolerance in ((torch.float32, EXACT), (torch.bfloat16, COARSE)):
        sample = draw(shape, layout, mean, dtype)
        means, variance = statistics(sample.x)
        inverse = inverse_of(variance)
        exact = Exact(sample, means, inverse)
        y = apply(sample.x, means, inverse, sample.factors, sample.shifts, False)
        assert y.dtype == dtype
        assert_near(y, exact.y, tolerance)
        y = apply(sample.x, means, inverse, sample.factors, sample.shifts, True)
        assert_near(y, exact.y.relu(), tolerance, 1)
        assert_near(apply(sample.x, means, inverse, None, None, False), exact.normalised, tolerance, 1)


@pytest.mark.parametrize(
    "shape", [(2, 3, 3, 2), (16, 24, 15, 14), (8, 3, 57, 53), (6, 3), (700, 48)], ids=str
)
def test_results_have_the_memory_format_of_what_they_are_made_of(shape: tuple[int, ...]) -> None:
    for layout in ("plain", "channels last"):
        sample = draw(shape, layout)
        mean, variance = statistics(sample.x)
        y = apply(sample.x, mean, inverse_of(variance), None, None, True)
        dy = sample.dy.clone(memory_format=torch.contiguous_format)
        dx = gradients(dy, y, sample.x, mean, variance, None, None, rectify=True).x
        assert dx is not None
        assert y.stride() == dx.stride() == sample.x.stride()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SMALL, *LARGE], ids=str)
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_gradients_are_those_of_float64(
    shape: tuple[int, ...], layout: str, rectify: bool, constant: bool
) -> None:
    for dtype, tolerance in ((torch.float32, EXACT), (torch.bfloat16, COARSE)):
        sample = draw(shape, layout, dtype=dtype)
        mean, variance = statistics(sample.x)
        inverse = inverse_of(variance)
        y = apply(sample.x, mean, inverse, sample.factors, sample.shifts, rectify)
        dy = sample.dy.double() * (y > 0) if rectify else sample.dy.double()
        exact = Exact(sample, mean, inverse)
        wanted = exact.gradients(dy, constant)
        assert wanted.x is not None
        size = (exact.scale * exact.inverse * dy).abs().max().item()
        found = gradients(
            sample.dy, y, sample.x, mean, inverse, sample.factors, sample.shifts,
            rectify=rectify, constant=constant, want_factors=True, want_shifts=True,
        )  # fmt: skip
        assert found.x is not None and found.x.dtype == dtype
        assert_near(found.x, wanted.x, tolerance, size)
        assert_near(found.factors, wanted.factors, EXACT, dy.abs().max().item())
        assert_near(found.shifts, wanted.shifts, EXACT, dy.abs().max().item())
        added = gradients(
            sample.dy.clone(), None, sample.x, mean, inverse, sample.factors, sample.shifts,
            rectify=rectify, constant=constant, added=sample.added, dy_is_ours=True,
        )  # fmt: skip
        assert_near(added.x, wanted.x + sample.added.double(), tolerance, size)
        assert added.factors is None and added.shifts is None


@pytest.mark.parametrize("shape", [(2, 3, 3, 2), (16, 24, 15, 14), (8, 3, 57, 53)], ids=str)
def test_gradients_only_of_what_is_wanted(shape: tuple[int, ...]) -> None:
    sample = draw(shape)
    mean, variance = statistics(sample.x)
    inverse = inverse_of(variance)
    before = sample.dy.clone()
    y = apply(sample.x, mean, inverse, None, None, True)
    exact = Exact(sample, mean, inverse, scaled=False).gradients(before.double() * (y > 0))
    none = gradients(sample.dy, y, sample.x, mean, inverse, None, None, rectify=True, want_x=False)
    assert none == Gradients(None, None, None)
    found = gradients(
        sample.dy, y, sample.x, mean, inverse, None, None, rectify=True, want_x=False, want_factors=True
    )
    assert found.x is None and found.shifts is None
    assert_near(found.factors, exact.factors, EXACT)
    assert_near(gradients(sample.dy, y, sample.x, mean, inverse, None, None, rectify=True).x, exact.x, EXACT)
    assert torch.equal(sample.dy, before)  # it was not given away


def test_gradients_of_many_rows() -> None:
    """All are 0.1. Their sum is off by 5e-4 where it is taken one by one."""
    x = draw((2 * VERY_LONG, 16)).x
    mean, variance = statistics(x)
    dy = torch.full_like(x, 0.1)
    found = gradients(
        dy,
        None,
        x,
        mean,
        inverse_of(variance),
        None,
        None,
        rectify=False,
        want_factors=True,
        want_shifts=True,
    )
    assert_near(found.shifts, dy.double().sum(0), 1e-4)
    assert_near(found.factors, torch.zeros(16, dtype=torch.float64), EXACT, 0.1 * len(x))


def test_shapes_meet_all_ways_of_computing() -> None:
    numbers = [int(np.prod(shape)) for shape in (*SMALL, *LARGE)]
    rows = [count // shape[1] for count, shape in zip(numbers, (*SMALL, *LARGE), strict=True)]
    assert min(numbers) < FEW < min(numbers[len(SMALL) :])
    assert min(rows) < LONG < max(rows)
