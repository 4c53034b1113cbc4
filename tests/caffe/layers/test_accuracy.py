"""Accuracy: ties, nans, top_k, ignored labels, single classes, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

DRAWN = np.random.default_rng(7)
TIES = DRAWN.integers(0, 3, (3, 5, 4, 2)).astype(np.float32)  # many equal scores
LABELS = DRAWN.integers(0, 5, (3, 4, 2)).astype(np.float32)
NAN, INF = np.nan, np.inf
NANS = np.array([[NAN, 1, 2], [1, NAN, 2], [NAN, NAN, NAN], [INF, -INF, INF], [0.0, 0.0, 0.0]])


def accuracy(parameter: str = "") -> str:
    return f'type: "Accuracy" accuracy_param {{ {parameter} }}'


BOTH = ["all", "each"]
AGREED = [
    *(
        example(f"accuracy {parameter}", layer_case(accuracy(parameter), TIES, LABELS, tops=BOTH, backward=False))
        for parameter in ("", "top_k: 2", "top_k: 5", "top_k: 0", "ignore_label: 1", "ignore_label: 77 top_k: 3")
    ),
    example("accuracy along the last axis", layer_case(
        accuracy("axis: -1"), TIES, DRAWN.integers(0, 2, (3, 5, 4)), tops=BOTH, backward=False
    )),
    *(
        example(f"accuracy of nans for label {label}, top {k}", layer_case(
            accuracy(f"top_k: {k}"), NANS, np.full(5, label), tops=BOTH, backward=False
        ))
        for label in (0, 1, 2) for k in (1, 2)
    ),
    example("accuracy of nothing", layer_case(
        accuracy("ignore_label: 2"), NANS, np.full(5, 2), tops=BOTH, backward=False
    )),
    example("accuracy of fractions", layer_case(accuracy(), NANS, [0.9, -0.9, 2.5, 1.1, 0], tops=BOTH, backward=False)),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize(("k", "right"), [(1, 0.25), (2, 0.5), (3, 1)])
def test_equal_scores_count_against_the_label(k: int, right: float, tmp_path: Path) -> None:
    """Others as high as the label's own: 2, 0, 2 and 1."""
    scores = [[0, 0, 0], [1, 0, 0], [3, 2, 4], [2, 2, 1]]
    case = layer_case(accuracy(f"top_k: {k}"), scores, [0, 0, 1, 0], backward=False)
    assert compute(case, tmp_path / "case")["0|data|y"] == right


def test_each_class_has_its_own(tmp_path: Path) -> None:
    case = layer_case(accuracy(), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 2], tops=BOTH, backward=False)
    assert compute(case, tmp_path / "case")["0|data|each"].tolist() == [0.5, 0, 1]


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        LayerError, match=r"layer tested \(Accuracy\): finds label 3 in bottom x1, but knows 3 classes"
    ):
        compute(layer_case(accuracy(), NANS, [0, 1, 2, 3, 0], backward=False), tmp_path / "label")
    with pytest.raises(LayerError, match=r"layer tested \(Accuracy\): has no gradient"):
        compute(layer_case(accuracy(), NANS, np.zeros(5)), tmp_path / "gradient")
