"""Long curves made short: means, bands, gaps and axis ends by hand."""

import numpy as np
import pytest

from batchbrew.training.curves import thinned, top_of
from batchbrew.training.training_log import Series


def series(values: list[float]) -> Series:
    made = Series()
    for place, value in enumerate(values):
        made.record(10 * place, value)
    return made


def test_stretches_have_mean_low_and_high() -> None:
    at, mean, low, high = thinned(series([1, 3, 5, 7, 2, 2]), most=3)
    assert (at.tolist(), mean.tolist()) == ([5, 25, 45], [2, 6, 2])
    assert (low.tolist(), high.tolist()) == ([1, 5, 2], [3, 7, 2])


def test_a_lost_number_makes_a_gap() -> None:
    _, mean, _, _ = thinned(series([1, float("inf"), 5, 7]), most=2)
    assert np.isnan(mean[0]) and mean[1] == 6
    _, short, _, _ = thinned(series([1, float("nan")]))
    assert short[0] == 1 and np.isnan(short[1])


def test_the_axis_leaves_out_what_would_flatten_the_rest() -> None:
    assert top_of(np.array([6.0, 2.0, 1.0])) == pytest.approx(6.3)
    assert top_of(np.array([87.3365, *[1.0] * 99])) == pytest.approx(1.05)
    assert top_of(np.array([])) == 0
