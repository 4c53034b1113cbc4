"""SigmoidCrossEntropyLoss: far scores, normalisations, ignored targets, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

SCORES = np.array([[-200, -3, -0.5, 0], [0.5, 2, 30, 300], [1, -1, 4, -4]])
TARGETS = np.array([[1, 0, 1, 0.25], [0, 1, 0, 1], [-1, 2, 2.5, 0.75]])


def loss(parameter: str = "") -> str:
    return f'type: "SigmoidCrossEntropyLoss" loss_param {{ {parameter} }}'


AGREED = [
    example(f"sigmoid loss {mode} {ignored}", layer_case(
        loss(f"{mode} {ignored}"), SCORES, TARGETS, tops=["loss"], diffs={"loss": 0.4}
    ))
    for mode in ("", "normalization: VALID", "normalization: FULL", "normalization: NONE", "normalize: true",
                 "normalize: false", "normalize: true normalization: BATCH_SIZE")
    for ignored in ("", "ignore_label: 2", "ignore_label: 0")
] + [
    example("sigmoid loss of five axes", layer_case(
        loss(), SCORES.reshape(3, 1, 2, 2, 1), TARGETS.reshape(3, 4), tops=["loss"]
    )),
    example("sigmoid loss, nothing counts", layer_case(
        loss("normalize: true ignore_label: 1"), SCORES, np.ones((3, 4)), tops=["loss"]
    )),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_the_mean_over_images(tmp_path: Path) -> None:
    case = layer_case(loss(), [[0, np.log(3)], [0, 0]], [[1, 0], [0.5, 0]], tops=["loss"])
    found = compute(case, tmp_path / "case")
    assert found["0|loss"] == pytest.approx((3 * np.log(2) + np.log(4)) / 2)
    np.testing.assert_allclose(found["0|diff|x0"], [[-0.25, 0.375], [0, 0.25]], rtol=1e-6)


def test_an_ignored_target_has_no_gradient_even_where_the_score_is_nan(tmp_path: Path) -> None:
    fields = loss("ignore_label: -1 normalization: VALID")
    found = compute(layer_case(fields, [[np.nan, 0]], [[-1, 1]], tops=["loss"]), tmp_path / "case")
    assert found["0|loss"] == pytest.approx(np.log(2))
    assert found["0|diff|x0"].tolist() == [[0, -0.5]]


def test_targets_have_no_gradient(tmp_path: Path) -> None:
    text = r"layer tested \(SigmoidCrossEntropyLoss\): cannot backpropagate to label inputs"
    with pytest.raises(LayerError, match=text):
        compute(layer_case(loss(), SCORES, TARGETS, tops=["loss"], learned=1), tmp_path / "case")
