"""AbsVal, BNLL, Sigmoid, TanH, Swish, Threshold: numbers worked by hand, in place, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

X = np.array([[-100, -60, -20.5, -1.5, -1e-4, 0], [1e-4, 0.7, 2, 20.5, 60, 100]])
SMALL = np.array([-2e-4, -1e-4, 0, 1e-4, 3e-4])
DY = np.array([[1, 2, 3, 4, 5, 6], [-1, -2, -3, -4, -5, -6]])


def neuron(fields: str, in_place: bool = False) -> Case:
    return layer_case(fields, X, in_place=in_place, diffs={"x0" if in_place else "y": DY})


KINDS = [
    'type: "BNLL"',
    'type: "Sigmoid"',
    'type: "TanH"',
    'type: "Swish"',
    'type: "Swish" swish_param { beta: -0.5 }',
]
AGREED = [
    *(
        example(f"{fields}{' in place' * in_place}", neuron(fields, in_place))
        for fields in KINDS for in_place in (False, True)
    ),
    *(example(f"{fields} of small numbers", layer_case(fields, SMALL, diffs={"y": SMALL})) for fields in KINDS),
    example("AbsVal", neuron('type: "AbsVal"')),
    *(
        example(f"Threshold at {at}{' in place' * in_place}", layer_case(
            f'type: "Threshold" threshold_param {{ threshold: {at} }}', X, in_place=in_place, backward=False
        ))
        for at in (0, 0.7, -1.5) for in_place in (False, True)
    ),
    *(
        example(f"{kind} of five axes", layer_case(f'type: "{kind}"', DY.reshape(1, 2, 3, 1, 2), backward=False))
        for kind in ("AbsVal", "BNLL", "ELU", "Exp", "Power", "ReLU", "Sigmoid", "Swish", "TanH", "Threshold")
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def one(fields: str, x: list[float], folder: Path) -> tuple[list[float], list[float]]:
    """y, and the gradient where that of y is 1."""
    found = compute(layer_case(fields, x, diffs={"y": np.ones(len(x))}), folder / "case")
    return found["0|data|y"].tolist(), found["0|diff|x0"].tolist()


def test_abs_val(tmp_path: Path) -> None:
    assert one('type: "AbsVal"', [-2, 0, 3], tmp_path) == ([2, 0, 3], [-1, 0, 1])


def test_sigmoid(tmp_path: Path) -> None:
    y, gradient = one('type: "Sigmoid"', [0, np.log(3)], tmp_path)
    assert y == pytest.approx([0.5, 0.75])
    assert gradient == pytest.approx([0.25, 0.1875])


def test_tanh(tmp_path: Path) -> None:
    y, gradient = one('type: "TanH"', [0, np.log(3) / 2], tmp_path)
    assert y == pytest.approx([0, 0.5])
    assert gradient == pytest.approx([1, 0.75])


def test_bnll(tmp_path: Path) -> None:
    y, gradient = one('type: "BNLL"', [0, np.log(3), -200, 200], tmp_path)
    assert y == pytest.approx([np.log(2), np.log(4), 0, 200])
    assert gradient == pytest.approx([0.5, 0.75, 0, 1])


def test_swish(tmp_path: Path) -> None:
    """With beta 2 at log(3)/2 the gate is 3/4, and the gradient 3/4 + 2·x·3/4·1/4."""
    x = np.log(3) / 2
    y, gradient = one('type: "Swish" swish_param { beta: 2 }', [0, x], tmp_path)
    assert y == pytest.approx([0, 0.75 * x])
    assert gradient == pytest.approx([0.5, 0.75 + 0.375 * x])


def test_threshold_is_not_reached_by_its_own_value(tmp_path: Path) -> None:
    case = layer_case('type: "Threshold" threshold_param { threshold: 1 }', [0.5, 1, 1.5], backward=False)
    assert compute(case, tmp_path / "case")["0|data|y"].tolist() == [0, 0, 1]


def test_threshold_has_no_gradient(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(Threshold\): has no gradient"):
        compute(layer_case('type: "Threshold"', [0.5, 1, 1.5]), tmp_path / "case")
