"""ArgMax: along an axis and as a whole, indices and values, ties, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

TIES = np.random.default_rng(8).integers(0, 4, (3, 5, 4, 2)).astype(np.float32)
EQUALS = [[3, 1, 3, 0, 3]]


def arg_max(parameter: str = "") -> str:
    return f'type: "ArgMax" argmax_param {{ {parameter} }}'


AGREED = [
    example(f"argmax of {'×'.join(map(str, shape))} {parameter} {values}", layer_case(
        arg_max(f"{parameter} {values}"), TIES.reshape(shape), backward=False
    ))
    for shape in ((3, 5, 4, 2), (12, 10), (3, 5, 2, 2, 2), (10, 12, 1))
    for parameter in ("", "top_k: 3", "axis: 1", "axis: 1 top_k: 4", "axis: 0 top_k: 2", "axis: -2 top_k: 2")
    for values in ("", "out_max_val: true")
    if not ("axis: -2" in parameter and len(shape) == 2)
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize(
    ("parameter", "y"),
    [
        ("", [[[4]]]),
        ("top_k: 4", [[[4, 2, 0, 1]]]),
        ("top_k: 2 out_max_val: true", [[[4, 2], [3, 3]]]),
        ("axis: 1 top_k: 2", [[4, 2]]),
        ("axis: 1 top_k: 4 out_max_val: true", [[3, 3, 3, 1]]),
    ],
)
def test_of_equals_the_last_comes_first(parameter: str, y: list[object], tmp_path: Path) -> None:
    case = layer_case(arg_max(parameter), EQUALS, backward=False)
    assert compute(case, tmp_path / "case")["0|data|y"].tolist() == y


def test_it_has_no_gradient(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(ArgMax\): has no gradient"):
        compute(layer_case(arg_max(), EQUALS), tmp_path / "case")
