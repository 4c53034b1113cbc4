"""Epochs, batches and rounding, by hand."""

import pytest

from batchbrew.errors import InputError
from batchbrew.solver.durations import (
    batch_norm_warning,
    even_batch,
    exact_iterations,
    passes_over,
    passes_per_iteration,
    rounded_iterations,
)


def test_the_paper_trains_for_320_000_iterations() -> None:
    exact = exact_iterations(64, 1_281_167, 256)
    assert exact == 320_291.75
    assert rounded_iterations(exact) == 320_000


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        (0.2, 1),
        (125, 125),
        (125.01, 126),
        (999.5, 1000),
        (1000, 1000),
        (1234.4, 1230),
        (1235, 1240),
        (9996, 10_000),
        (1_234_567, 1_230_000),
    ],
)
def test_three_digits_or_up(exact: float, rounded: int) -> None:
    assert rounded_iterations(exact) == rounded


def test_more_iterations_than_caffe_counts_are_refused() -> None:
    with pytest.raises(InputError, match=r"3,000,000,000 iterations are more than Caffe can count"):
        rounded_iterations(3e9)


@pytest.mark.parametrize(("batch", "device", "passes"), [(256, 16, 16), (256, 128, 2), (8, 8, 1), (7, 1, 7)])
def test_passes_per_iteration(batch: int, device: int, passes: int) -> None:
    assert passes_per_iteration(batch, device) == passes


@pytest.mark.parametrize(
    ("batch", "device", "nearest"),
    [(256, 48, "32 or 64"), (8, 16, "8"), (36, 10, "9 or 12"), (37, 16, "1 or 37")],
)
def test_a_device_batch_that_does_not_divide_is_refused_with_the_nearest(
    batch: int, device: int, nearest: str
) -> None:
    with pytest.raises(InputError, match=f"{batch} cannot be made of .* {device}: .* are {nearest}$"):
        passes_per_iteration(batch, device)


@pytest.mark.parametrize(("images", "batch", "passes"), [(50_000, 10, 5000), (50_001, 10, 5001), (3, 10, 1)])
def test_passes_over_cover_every_image(images: int, batch: int, passes: int) -> None:
    assert passes_over(images, batch) == passes


@pytest.mark.parametrize(
    ("images", "largest", "batch"),
    [(50_000, 16, 16), (50_001, 16, 16), (1005, 16, 15), (5, 16, 5), (16, 16, 16), (97, 16, 16), (300, 1, 1)],
)
def test_even_batch(images: int, largest: int, batch: int) -> None:
    """50,001 = 3 · 7 · 2381: a batch of 7 would divide it, and be less than half of what fits."""
    assert even_batch(images, largest) == batch


def test_small_device_batches_are_warned_about() -> None:
    assert batch_norm_warning(16, global_statistics=False) is None
    assert batch_norm_warning(4, global_statistics=True) is None
    warning = batch_norm_warning(15, global_statistics=False)
    assert warning is not None
    for word in ("over 15 images", "iter_size", "16 or more", "--global-stats"):
        assert word in warning
