"""LRN: numbers worked by hand, numerical gradients, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

RANDOM = np.random.default_rng(9)
WITHIN = "norm_region: WITHIN_CHANNEL"
FIELDS = [
    "", "local_size: 1", "local_size: 3 alpha: 2 beta: 0.5 k: 2", "local_size: 21 beta: 2",
    "alpha: 0.0001 beta: 0.75", "beta: 0", "beta: -1 k: 0.1",
]  # fmt: skip
X, DY = RANDOM.standard_normal((2, 6, 4, 7)), RANDOM.standard_normal((2, 6, 4, 7))
AGREED = [
    example(
        f"LRN {fields} {region}",
        layer_case(f'type: "LRN" lrn_param {{ {fields} {region} }}', X, diffs={"y": DY}),
    )
    for fields in FIELDS
    for region in ("", WITHIN)
]


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_across_channels_by_hand(tmp_path: Path) -> None:
    """With β = 1: the scales are k + α/3 · (1 + 4, 1 + 4 + 9, 4 + 9)."""
    case = layer_case(
        'type: "LRN" lrn_param { local_size: 3 alpha: 3 beta: 1 k: 5 }', np.reshape([1, 2, 3], (1, 3, 1, 1)),
        diffs={"y": np.reshape([1, 0, 0], (1, 3, 1, 1))},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].ravel() == pytest.approx([1 / 10, 2 / 19, 3 / 18])
    # y0 = x0 / (5 + x0² + x1²)
    assert found["0|diff|x0"].ravel() == pytest.approx([1 / 10 - 2 / 100, -4 / 100, 0])


def test_within_a_channel_by_hand(tmp_path: Path) -> None:
    """Here k counts as 1; pixels beyond the image are zeros, of 9 in all."""
    case = layer_case(
        f'type: "LRN" lrn_param {{ local_size: 3 alpha: 9 beta: 1 k: 5 {WITHIN} }}', [[[[1, 2, 3]]]],
        diffs={"y": [[[[1, 0, 0]]]]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].ravel() == pytest.approx([1 / 6, 2 / 15, 3 / 14])
    assert found["0|diff|x0"].ravel() == pytest.approx([1 / 6 - 2 / 36, -4 / 36, 0])


@pytest.mark.parametrize("region", ["", WITHIN])
def test_a_window_wider_than_the_blob_costs_no_more(region: str, tmp_path: Path) -> None:
    """Of four billion: α/n is next to nothing, and y = x."""
    case = layer_case(f'type: "LRN" lrn_param {{ local_size: 4294967295 {region} }}', X, diffs={"y": DY})
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"] == pytest.approx(X, rel=1e-6)
    assert found["0|diff|x0"] == pytest.approx(DY, rel=1e-6)


def test_an_even_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(LRN\): local_size must be odd, not 4"):
        compute(layer_case('type: "LRN" lrn_param { local_size: 4 }', X), tmp_path / "case")
