"""LSTMUnit: a step worked by hand, numerical gradients, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.lstm_unit import hidden, step, step_back
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

RANDOM = np.random.default_rng(10)


def drawn(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


AGREED = [
    example(
        f"LSTMUnit, {name}",
        layer_case(
            'type: "LSTMUnit"', drawn(1, 3, 5), drawn(1, 3, 20) * size, [marks], tops=["c", "h"],
            diffs={"c": drawn(1, 3, 5), "h": drawn(1, 3, 5)},
        ),
    )
    for name, marks, size in (
        ("marks", [0, 1, 1], 1), ("marks that are none", [0.5, -2, 1e-3], 1), ("large", [1, 1, 0], 30)
    )
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_a_step_by_hand(tmp_path: Path) -> None:
    """All gates half open but the forget gate of 3/4: two streams, the second of which begins."""
    gates = [[[0, np.log(3), 0, np.log(3) / 2]] * 2]
    case = layer_case('type: "LSTMUnit"', [[[8], [8]]], gates, [[1, 0]], tops=["c", "h"])
    found = compute(case, tmp_path / "case")
    cells = [6 + 0.25, 0.25]
    assert found["0|data|c"].ravel() == pytest.approx(cells)
    assert found["0|data|h"].ravel() == pytest.approx(np.tanh(cells) / 2)


def test_numerical_gradients() -> None:
    generator = torch.Generator().manual_seed(2)
    cell, gates = (torch.randn(4, width, generator=generator, dtype=torch.float64) for width in (3, 12))
    marks = torch.tensor([[1.0], [0], [1], [1]], dtype=torch.float64)
    d_cell, d_hidden = (torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in range(2))

    def loss(cell: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        done = step(cell, gates, marks)
        return (done.cell * d_cell).sum() + (hidden(done) * d_hidden).sum()

    found = step_back(step(cell, gates, marks), d_cell, d_hidden)
    for index, tensor in enumerate((cell, gates)):
        at, nudge = (2, 1), torch.zeros_like(tensor)
        nudge[at] = 1e-5
        above, below = (
            [tensor + sign * nudge if tensor is each else each for each in (cell, gates)] for sign in (1, -1)
        )
        assert float((loss(*above) - loss(*below)) / 2e-5) == pytest.approx(float(found[index][at]), rel=1e-6)


def test_marks_have_no_gradient(tmp_path: Path) -> None:
    case = layer_case(
        'type: "LSTMUnit" propagate_down: false propagate_down: false propagate_down: true loss_weight: [1, 1]',
        drawn(1, 2, 1), drawn(1, 2, 4), [[1, 1]], tops=["c", "h"], learned=2,
    )  # fmt: skip
    with pytest.raises(LayerError, match=r"layer tested \(LSTMUnit\): has no gradient for its marks"):
        compute(case, tmp_path / "case")
