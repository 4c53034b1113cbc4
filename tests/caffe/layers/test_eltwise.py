"""Eltwise: coefficients, zeros in products, ties in maxima, and what becomes of it in place."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(8)
A, B, C = [1.0, 2, 3, -4], [1.0, 5, 0, -4], [1.0, 2, 4, -5]
DY = [1.0, 10, 100, 1000]


def eltwise(fields: str) -> str:
    return f'type: "Eltwise" eltwise_param {{ {fields} }}'


def normal(ties: bool = False) -> Array:
    numbers = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)
    return np.round(numbers) if ties else numbers


AGREED = [
    example(f"Eltwise {fields} of {count}{' in place' * in_place}", layer_case(
        eltwise(fields), *(normal(ties="MAX" in fields) for _ in range(count)), in_place=in_place,
        diffs={"x0" if in_place else "y": normal()},
    ))
    for fields, count in (
        ("", 2), ("operation: SUM", 4), ("coeff: 1 coeff: -1", 2), ("coeff: 0.3 coeff: 1 coeff: -2", 3),
        ("operation: PROD", 2), ("operation: PROD", 4), ("operation: PROD stable_prod_grad: false", 2),
        ("operation: PROD stable_prod_grad: false", 3), ("operation: MAX", 2), ("operation: MAX", 4),
    )
    for in_place in (False, True)
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_sum(tmp_path: Path) -> None:
    found = compute(layer_case(eltwise("coeff: 1 coeff: -2"), A, B, diffs={"y": DY}), tmp_path / "case")
    assert found["0|data|y"].tolist() == [-1, -8, 3, 4]
    assert found["0|diff|x0"].tolist() == DY and found["0|diff|x1"].tolist() == [-2, -20, -200, -2000]


def test_of_equal_ones_the_second_is_the_maximum_and_a_third_is_not(tmp_path: Path) -> None:
    found = compute(layer_case(eltwise("operation: MAX"), A, B, C, diffs={"y": DY}), tmp_path / "case")
    assert found["0|data|y"].tolist() == [1, 5, 4, -4]
    assert [found[f"0|diff|x{index}"].tolist() for index in range(3)] == [
        [0, 0, 0, 0],
        [1, 10, 0, 1000],
        [0, 0, 100, 0],
    ]


def test_where_one_is_zero_only_the_stable_gradient_of_a_product_is_a_number(tmp_path: Path) -> None:
    case = layer_case(eltwise("operation: PROD"), A, B, diffs={"y": DY})
    found = compute(case, tmp_path / "stable")
    assert found["0|data|y"].tolist() == [1, 10, 0, 16]
    assert found["0|diff|x1"].tolist() == [1, 20, 300, -4000]
    case = layer_case(eltwise("operation: PROD stable_prod_grad: false"), A, B, diffs={"y": DY})
    found = compute(case, tmp_path / "divided")
    assert found["0|diff|x0"].tolist() == [1, 50, 0, -4000]
    assert np.isnan(found["0|diff|x1"][2]) and found["0|diff|x1"][1] == 20


def test_gradients_that_are_equal_are_not_one_memory(tmp_path: Path) -> None:
    net = build(layer_case(eltwise(""), A, B), tmp_path / "case")
    net.forward()
    net.backward(y=np.array(DY, np.float32))
    net.blobs["x0"].diff[...] = 0
    assert net.blobs["x1"].diff.tolist() == DY and net.blobs["y"].diff.tolist() == DY


@pytest.mark.parametrize(
    ("fields", "bottoms", "message"),
    [
        ("coeff: 1", (A, B), "has 1 coeff for 2 bottoms: give one for each"),
        ("operation: PROD coeff: 1 coeff: 1", (A, B), "takes no coeff with operation: PROD"),
        ("", (A, [1.0]), "bottom x1 is 1, but x0 is 4: they must be alike"),
        ("", (A,), "takes 2 or more bottoms, not 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    fields: str, bottoms: tuple[list[float], ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(Eltwise\): " + message):
        build(layer_case(eltwise(fields), *bottoms), tmp_path / "case")
