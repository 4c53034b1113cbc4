"""Embed: numbers worked by hand, numbers out of range, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from batchbrew.proto import caffe_pb2 as pb
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

TABLE = np.arange(6).reshape(3, 2)
FIELDS = 'type: "Embed" embed_param { input_dim: 3 num_output: 2 }'


def embed(numbers: list[float], fields: str = FIELDS, force_backward: bool = False) -> Case:
    """Its net runs backward, but not to the numbers: the loss weight makes the gradient, 1 everywhere."""
    case = layer_case(f"{fields} loss_weight: 1", numbers, parameters={0: TABLE, 1: [100, 200]})
    case.net.force_backward = force_backward
    return case


AGREED = [
    example("Embed", embed([2, 0, 2, 1])),
    example("Embed, cut to whole numbers", embed([1.9, 0.5])),
    example("Embed, frozen", embed([1, 0], f"param {{ lr_mult: 0 }} {FIELDS}")),
]


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_by_hand(tmp_path: Path) -> None:
    found = compute(embed([2, 0, 2]), tmp_path / "case")
    assert found["0|data|y"].tolist() == [[104, 205], [100, 201], [104, 205]]
    assert found["0|gradient|tested|0"].tolist() == [[1, 1], [0, 0], [2, 2]]
    assert found["0|gradient|tested|1"].tolist() == [3, 3]


@pytest.mark.parametrize("number", ["3", "-1", "nan", "1e+30"])
def test_a_number_out_of_range_is_named(number: str, tmp_path: Path) -> None:
    expected = rf"^layer tested \(Embed\): finds {number.replace('+', '.')} in its bottom x0, but its table has 3 rows"
    with pytest.raises(LayerError, match=expected):
        compute(embed([0, float(number)]), tmp_path / "case")


def test_its_bottom_has_no_gradient(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(Embed\): has no gradient for its bottom"):
        compute(embed([0], force_backward=True), tmp_path / "case")


def test_the_phase_makes_no_difference(tmp_path: Path) -> None:
    case = layer_case(FIELDS, [1], phase=pb.TEST, parameters={0: TABLE}, backward=False)
    assert compute(case, tmp_path / "case")["0|data|y"].tolist() == [[2, 3]]
