"""Power, Exp and Log: special cases of their parameters, in place, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

X = np.array([[-2, -0.5, 0], [0.25, 1, 3]])
DY = np.array([[1, 2, 3], [4, 5, 6]])
POWERS: list[dict[str, float]] = [
    *({"power": power} for power in (0, 1, 2, 3, 0.5, -1)),
    *({"power": power, "scale": 2, "shift": 0.5} for power in (0, 1, 2, 3, 0.5, -1, 1.7)),
    *(
        {"power": power, "scale": 0, "shift": shift}
        for power, shift in ((2, 3), (-1, 0), (0.5, -1), (0, 0), (1, 5))
    ),
    {"power": 2, "scale": -1.5},
    {"power": 3, "shift": 2},  # 0/0 at -2
]
BASES = ["", "base: 2", "base: 0.5", "base: 10"]


def parameters(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}: {value}" for name, value in values.items())


AGREED = [
    example(f"{fields}{' in place' * in_place}", layer_case(
        fields, X, in_place=in_place, diffs={"x0" if in_place else "y": DY}
    ))
    for fields in (
        *(f'type: "Power" power_param {{ {parameters(values)} }}' for values in POWERS),
        *(f'type: "Exp" exp_param {{ {base} {rest} }}' for base in (*BASES, "base: 1")
          for rest in ("", "scale: -1.5 shift: 0.5", "shift: -2", "scale: 0")),
        *(f'type: "Log" log_param {{ {base} {rest} }}' for base in BASES
          for rest in ("", "scale: 2 shift: 4.5", "scale: -1 shift: 3")),
    )
    for in_place in (False, True)
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    """Infinities and nans, where Caffe has them, included."""
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_power(tmp_path: Path) -> None:
    case = layer_case(
        'type: "Power" power_param { power: 3 scale: 2 shift: 1 }', [0, 1], diffs={"y": [1, 0.5]}
    )
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == [1, 27]
    assert found["0|diff|x0"].tolist() == [6, pytest.approx(27)]


def test_power_of_nothing_is_nan_in_the_backward_pass(tmp_path: Path) -> None:
    """Caffe divides y by x."""
    found = compute(
        layer_case('type: "Power" power_param { power: 3 }', [0], diffs={"y": [1]}), tmp_path / "case"
    )
    assert found["0|data|y"] == 0
    assert np.isnan(found["0|diff|x0"])


def test_power_in_place_squares_its_slope(tmp_path: Path) -> None:
    """Caffe writes the slope over the gradient that it is to be multiplied by."""
    case = layer_case('type: "Power" power_param { scale: 3 }', [1, 2], in_place=True, diffs={"x0": [1, 0.5]})
    assert compute(case, tmp_path / "case")["0|diff|x0"].tolist() == [9, 9]


def test_power_0_leaves_a_nan_alone(tmp_path: Path) -> None:
    found = compute(
        layer_case('type: "Power" power_param { power: 0 }', [np.nan], diffs={"y": [1]}), tmp_path / "case"
    )
    assert found["0|data|y"] == 1
    assert found["0|diff|x0"] == 0


def test_exp(tmp_path: Path) -> None:
    case = layer_case('type: "Exp" exp_param { base: 2 scale: 3 shift: 1 }', [0, 1], diffs={"y": [1, 1]})
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == pytest.approx([2, 16])
    assert found["0|diff|x0"].tolist() == pytest.approx([6 * np.log(2), 48 * np.log(2)])


def test_log(tmp_path: Path) -> None:
    case = layer_case('type: "Log" log_param { base: 2 scale: 3 shift: 1 }', [1, 5], diffs={"y": [1, 1]})
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == pytest.approx([2, 4])
    assert found["0|diff|x0"].tolist() == pytest.approx([0.75 / np.log(2), 0.1875 / np.log(2)])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            'type: "Exp" exp_param { base: -2 }',
            r"layer tested \(Exp\): base must be above 0, or -1 for e, not -2",
        ),
        (
            'type: "Exp" exp_param { base: inf }',
            r"layer tested \(Exp\): base must be above 0, or -1 for e, not inf",
        ),
        (
            'type: "Log" log_param { base: 0 }',
            r"layer tested \(Log\): base must be above 0, or -1 for e, not 0",
        ),
        ('type: "Log" log_param { base: 1 }', r"layer tested \(Log\): base must not be 1"),
    ],
)
def test_bases_without_a_logarithm_are_refused(fields: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=text):
        compute(layer_case(fields, [1]), tmp_path / "case")
