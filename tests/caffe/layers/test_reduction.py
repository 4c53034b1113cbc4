"""Reduction and Tile."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(12)
X = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)
UP = RANDOM.normal(size=(6, 9, 12)).astype(np.float32)
ROWS = [[1.0, -2, 0], [3, 4, -5]]

AGREED = [
    *(
        example(f"Reduction {operation} {fields}", layer_case(
            f'type: "Reduction" reduction_param {{ operation: {operation} {fields} }}', X,
            diffs={"y": UP[0, 0, : int(np.prod(top))].reshape(top)},
        ))
        for operation in ("SUM", "ASUM", "SUMSQ", "MEAN")
        for fields, top in (("", ()), ("axis: 1 coeff: -0.3", (2,)), ("axis: -1 coeff: 2", (2, 3)))
    ),
    *(
        example(f"Tile {fields}", layer_case(f'type: "Tile" tile_param {{ {fields} }}', X, diffs={"y": UP[top]}))
        for fields, top in (
            ("tiles: 3", np.s_[:2, :9, :4]), ("axis: 0 tiles: 2", np.s_[:4, :3, :4]),
            ("axis: -1 tiles: 3", np.s_[:2, :3]), ("tiles: 1", np.s_[:2, :3, :4]),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize(
    ("operation", "reduced", "gradient"),
    [
        ("SUM", [-2, 4], [[2, 2, 2], [20, 20, 20]]),
        ("MEAN", [-2 / 3, 4 / 3], [[2 / 3] * 3, [20 / 3] * 3]),
        ("ASUM", [6, 24], [[2, -2, 0], [20, 20, -20]]),
        ("SUMSQ", [10, 100], [[4, -8, 0], [120, 160, -200]]),
    ],
)
def test_reduction(operation: str, reduced: list[float], gradient: list[list[float]], tmp_path: Path) -> None:
    fields = f'type: "Reduction" reduction_param {{ operation: {operation} axis: 1 coeff: 2 }}'
    found = compute(layer_case(fields, ROWS, diffs={"y": [1, 10]}), tmp_path / "case")
    np.testing.assert_allclose(found["0|data|y"], reduced, rtol=1e-6)
    np.testing.assert_allclose(found["0|diff|x0"], gradient, rtol=1e-6)


def test_tile(tmp_path: Path) -> None:
    case = layer_case('type: "Tile" tile_param { tiles: 2 }', [[1.0, 2]], diffs={"y": [[1, 10, 100, 1000]]})
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == [[1, 2, 1, 2]]
    assert found["0|diff|x0"].tolist() == [[101, 1010]]


@pytest.mark.parametrize("fields", ["", "tile_param { tiles: 0 }"])
def test_no_tiles_are_refused(fields: str, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(Tile\): tiles must be given, 1 or more"):
        build(layer_case(f'type: "Tile" {fields}', ROWS), tmp_path / "case")
