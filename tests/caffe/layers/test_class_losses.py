"""HingeLoss and MultinomialLogisticLoss: numbers worked by hand, odd labels, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

DRAWN = np.random.default_rng(5)
SCORES = DRAWN.normal(0, 2, (6, 4)).astype(np.float32)
LABELS = np.array([0, 3, 2, 2, 1, 3])
SHARES = DRAWN.dirichlet(np.ones(4), 6).astype(np.float32)
SHARES[0, 0] = 0
L1, L2 = 'type: "HingeLoss"', 'type: "HingeLoss" hinge_loss_param { norm: L2 }'
LOGISTIC = 'type: "MultinomialLogisticLoss"'

AGREED = [
    *(
        example(f"{fields} {what}", layer_case(fields, scores, labels, tops=["loss"], diffs={"loss": 0.3}))
        for fields in (L1, L2)
        for what, scores, labels in (
            ("of rows", SCORES, LABELS),
            ("of images", SCORES.reshape(2, 3, 2, 2), [7, 11]),
            ("of more labels than images", SCORES, np.stack([LABELS, 3 - LABELS], 1)),
            ("of nan", [[np.nan, 1], [0.5, -np.inf]], [0, 1]),
        )
    ),
    *(
        example(f"{LOGISTIC} {what}", layer_case(LOGISTIC, shares, labels, tops=["loss"], diffs={"loss": 0.3}))
        for what, shares, labels in (
            ("of rows", SHARES, LABELS + 0.5),
            ("of images", SHARES.reshape(2, 3, 2, 2), [7, 11]),
            ("of single scores", SHARES[:, 1], np.zeros(6)),
            ("of nan and below 0", [[np.nan, 1], [-1, 1]], [0, 0]),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize(
    ("fields", "loss", "gradient"),
    [
        (L1, (3.5 + 2) / 2, [[-0.5, 0.5, 0], [0, 0, 0.5]]),
        (L2, (2**2 + 1.5**2 + 2**2) / 2, [[-2, 1.5, 0], [0, 0, 2]]),
    ],
)
def test_hinge_loss(fields: str, loss: float, gradient: list[list[float]], tmp_path: Path) -> None:
    """Margins are 1 + 1, 1 + 0.5, 1 - 3 and 1 - 2, 1 - 1, 1 + 1."""
    case = layer_case(fields, [[-1, 0.5, -3], [2, -1, 1]], [0, 0], tops=["loss"])
    found = compute(case, tmp_path / "case")
    assert found["0|loss"] == pytest.approx(loss)
    assert found["0|diff|x0"].tolist() == gradient


def test_hinge_loss_leaves_its_margins_in_the_diff(tmp_path: Path) -> None:
    """Where Caffe has them, too, though no backward pass was run."""
    net = build(layer_case(L1, np.zeros((1, 3)), [0], tops=["loss"]), tmp_path / "case")
    net.blobs["x0"].data[...] = [[-1, 0.5, -3]]
    net.forward()
    assert net.blobs["x0"].diff.tolist() == [[2, 1.5, 0]]


def test_multinomial_logistic_loss(tmp_path: Path) -> None:
    case = layer_case(LOGISTIC, [[0.25, 0.75], [0.5, 0.5]], [0, 1], tops=["loss"])
    found = compute(case, tmp_path / "case")
    assert found["0|loss"] == pytest.approx(np.log(8) / 2)
    assert found["0|diff|x0"].tolist() == [[-2, 0], [0, -1]]


def test_a_probability_of_nothing_costs_46(tmp_path: Path) -> None:
    """It counts as 1e-20."""
    found = compute(layer_case(LOGISTIC, [[0, 1]], [0], tops=["loss"]), tmp_path / "case")
    assert found["0|loss"] == pytest.approx(20 * np.log(10))


@pytest.mark.parametrize("kind", ["HingeLoss", "MultinomialLogisticLoss"])
def test_what_is_refused(kind: str, tmp_path: Path) -> None:
    fields = f'type: "{kind}"'
    with pytest.raises(
        LayerError, match=rf"layer tested \({kind}\): finds label 4 in bottom x1, but knows 4 classes"
    ):
        compute(layer_case(fields, SCORES, LABELS + 1, tops=["loss"]), tmp_path / "label")
    with pytest.raises(LayerError, match=rf"layer tested \({kind}\): cannot backpropagate to label inputs"):
        compute(layer_case(fields, SCORES, LABELS, tops=["loss"], learned=1), tmp_path / "gradient")
    with pytest.raises(LayerError, match=rf"layer tested \({kind}\): takes blobs of at most four axes"):
        compute(layer_case(fields, np.zeros((1, 2, 1, 1, 1)), [0], tops=["loss"]), tmp_path / "axes")
