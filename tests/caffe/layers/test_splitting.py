"""Split and Silence."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

X = np.random.default_rng(14).normal(size=(4, 2, 3)).astype(np.float32)

AGREED = [
    *(
        example(f"Split of {tops}", layer_case(
            'type: "Split"', X[0], tops=[f"y{index}" for index in range(tops)],
            diffs={f"y{index}": X[index + 1] for index in range(tops)},
        ))
        for tops in (1, 2, 3)
    ),
    example("Silence", layer_case('type: "Silence"', X[0], X[1, 0], tops=[])),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_gradients_add_up_and_data_is_one(tmp_path: Path) -> None:
    case = layer_case('type: "Split"', [1.0, 2], tops=["a", "b"], diffs={"a": [1, 2], "b": [10, 20]})
    found = compute(case, tmp_path / "values")
    assert found["0|diff|x0"].tolist() == [11, 22]
    net = build(case, tmp_path / "memory")
    net.forward()
    net.blobs["b"].data[...] = 5
    assert net.blobs["a"].data.tolist() == [5, 5] and net.blobs["x0"].data.tolist() == [5, 5]


def test_the_gradient_of_a_single_top_is_a_copy(tmp_path: Path) -> None:
    net = build(layer_case('type: "Split"', [1.0], tops=["a"]), tmp_path / "case")
    net.forward()
    net.backward(a=np.ones(1, np.float32))
    net.blobs["a"].diff[...] = 7
    assert net.blobs["x0"].diff.tolist() == [1]


def test_what_is_silenced_has_a_gradient_of_zeros(tmp_path: Path) -> None:
    net = build(layer_case('type: "Silence"', [1.0, 2], tops=[]), tmp_path / "case")
    net.blobs["x0"].diff[...] = 3
    net.forward()
    assert net.outputs == []
    net.backward()
    assert net.blobs["x0"].diff.tolist() == [0, 0]
