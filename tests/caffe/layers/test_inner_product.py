"""InnerProduct: numbers worked by hand, and real Caffe."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

RANDOM = np.random.default_rng(12)


def drawn(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def inner_product(fields: str, weights: tuple[int, ...], top: tuple[int, ...], outside: str = "") -> Case:
    """Two passes, whose gradients of parameters add up."""
    parameters = {0: drawn(*weights)} if "bias_term" in fields else {0: drawn(*weights), 1: drawn(4)}
    case = layer_case(
        f'type: "InnerProduct" {outside} inner_product_param {{ num_output: 4 {fields} }}', drawn(2, 3, 5),
        diffs={"y": drawn(*top)}, parameters=parameters,
    )  # fmt: skip
    return replace(case, passes=[case.passes[0], replace(case.passes[0], clear=False)])


AGREED = [
    example("InnerProduct", inner_product("", (4, 15), (2, 4))),
    example("InnerProduct, transposed", inner_product("transpose: true", (15, 4), (2, 4))),
    example("InnerProduct, of the last axis", inner_product("axis: -1 bias_term: false", (4, 5), (2, 3, 4))),
    example("InnerProduct, of all axes", inner_product("axis: 0 transpose: true", (30, 4), (4,))),
    example("InnerProduct, frozen", inner_product("", (4, 15), (2, 4), "param { lr_mult: 0 }")),
]


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize("transposed", [False, True])
def test_by_hand(transposed: bool, tmp_path: Path) -> None:
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    case = layer_case(
        f'type: "InnerProduct" inner_product_param {{ num_output: 2 transpose: {str(transposed).lower()} }}',
        [[[1, 0, 1]], [[0, 2, 0]]], diffs={"y": [[1, 10], [0, 100]]},
        parameters={0: weights.T if transposed else weights, 1: [100, 200]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == [[104, 210], [104, 210]]
    assert found["0|diff|x0"].tolist() == [[[41, 52, 63]], [[400, 500, 600]]]
    gradient = found["0|gradient|tested|0"]
    assert (gradient.T if transposed else gradient).tolist() == [[1, 0, 1], [10, 200, 10]]
    assert found["0|gradient|tested|1"].tolist() == [1, 110]


def test_no_outputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(InnerProduct\): num_output must be given"):
        compute(layer_case('type: "InnerProduct"', [[1]]), tmp_path / "case")
