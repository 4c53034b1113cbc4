"""EuclideanLoss and ContrastiveLoss: numbers worked by hand, the margin's edges, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

DRAWN = np.random.default_rng(6)
FIRST = DRAWN.normal(size=(6, 3)).astype(np.float32)
SECOND = DRAWN.normal(size=(6, 3)).astype(np.float32)
SECOND[2] = FIRST[2]
SECOND[3] = FIRST[3] + np.array([1e-4, 0, 0])
ALIKE = np.array([1, 0, 0, 0, 1, 0])
CONTRASTIVE = 'type: "ContrastiveLoss"'

AGREED = [
    example("euclidean", layer_case('type: "EuclideanLoss"', FIRST, SECOND, tops=["loss"], diffs={"loss": 0.4})),
    example("euclidean, two shapes", layer_case(
        'type: "EuclideanLoss"', FIRST.reshape(2, 3, 3), SECOND.reshape(2, 9, 1, 1), tops=["loss"]
    )),
    example("euclidean, targets learned", layer_case('type: "EuclideanLoss"', FIRST, SECOND, tops=["loss"], learned=1)),
    *(
        example(f"contrastive {parameter}", layer_case(
            f"{CONTRASTIVE} contrastive_loss_param {{ {parameter} }}", FIRST, SECOND, ALIKE,
            tops=["loss"], diffs={"loss": 0.4},
        ))
        for parameter in ("", "margin: 3", "margin: 0.5", "margin: -1", "legacy_version: true",
                          "legacy_version: true margin: 4")
    ),
    example("contrastive, fractions", layer_case(
        CONTRASTIVE, FIRST, SECOND, [0.9, -0.9, 2, -1, 1.5, 0], tops=["loss"],
    )),
    example("contrastive, more than is asked", layer_case(
        CONTRASTIVE, FIRST, SECOND, [*ALIKE, 1, 1, 1], tops=["loss"],
    )),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_euclidean_loss(tmp_path: Path) -> None:
    found = compute(
        layer_case('type: "EuclideanLoss"', [[1, 2], [0, 0]], [[1, 0], [3, 0]], tops=["loss"]),
        tmp_path / "case",
    )
    assert found["0|loss"] == (4 + 9) / 4
    assert found["0|diff|x0"].tolist() == [[0, 1], [-1.5, 0]]
    assert found["0|diff|x1"].tolist() == [[0, -1], [1.5, 0]]


@pytest.mark.parametrize(
    ("parameter", "loss", "pull"),
    [("margin: 6", (25 + 1) / 4, 0.2), ("margin: 26 legacy_version: true", (25 + 1) / 4, 1)],
)
def test_contrastive_loss(parameter: str, loss: float, pull: float, tmp_path: Path) -> None:
    """Both pairs are 5 apart, only the first is alike: it is pulled together, the other pushed apart."""
    fields = f"{CONTRASTIVE} contrastive_loss_param {{ {parameter} }}"
    case = layer_case(fields, [[3, 4], [3, 4]], [[0, 0], [0, 0]], [1, 0], tops=["loss"])
    found = compute(case, tmp_path / "case")
    assert found["0|loss"] == pytest.approx(loss)
    np.testing.assert_allclose(found["0|diff|x0"], [[1.5, 2], [-1.5 * pull, -2 * pull]], rtol=1e-4)
    np.testing.assert_array_equal(found["0|diff|x1"], -found["0|diff|x0"])


def test_too_few_answers_whether_pairs_are_alike_are_refused(tmp_path: Path) -> None:
    text = r"layer tested \(ContrastiveLoss\): has 6 pairs, but bottom x2 says of 5 whether they are alike"
    with pytest.raises(LayerError, match=text):
        compute(layer_case(CONTRASTIVE, FIRST, SECOND, ALIKE[:5], tops=["loss"]), tmp_path / "case")


def test_five_axes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(EuclideanLoss\): takes blobs of at most four axes"):
        compute(
            layer_case('type: "EuclideanLoss"', np.zeros((1, 1, 1, 1, 2)), [[0, 0]], tops=["loss"]),
            tmp_path / "case",
        )
