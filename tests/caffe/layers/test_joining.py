"""Concat and Slice: along which axis, where it is cut, and the memory that a single piece shares."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(9)


def normal(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


AGREED = [
    *(
        example(f"Concat {fields} of {len(shapes)}", layer_case(
            f'type: "Concat" concat_param {{ {fields} }}', *(normal(*shape) for shape in shapes),
            diffs={"y": normal(*top)},
        ))
        for fields, shapes, top in (
            ("", [(2, 3, 2), (2, 1, 2), (2, 2, 2)], (2, 6, 2)),
            ("axis: 0", [(2, 3), (1, 3)], (3, 3)),
            ("axis: -1", [(2, 3), (2, 1)], (2, 4)),
            ("concat_dim: 0", [(1, 2), (1, 2)], (2, 2)),
            ("", [(2, 3)], (2, 3)),
        )
    ),
    *(
        example(f"Slice {fields} of {len(tops)}", layer_case(
            f'type: "Slice" slice_param {{ {fields} }}', normal(*shape),
            tops=[f"y{index}" for index in range(len(tops))],
            diffs={f"y{index}": normal(*top) for index, top in enumerate(tops)},
        ))
        for fields, shape, tops in (
            ("", (2, 4, 2), [(2, 2, 2), (2, 2, 2)]),
            ("slice_point: 1 slice_point: 2", (2, 5, 2), [(2, 1, 2), (2, 1, 2), (2, 3, 2)]),
            ("axis: 0", (2, 3), [(1, 3), (1, 3)]),
            ("axis: -1 slice_point: 2", (2, 3), [(2, 2), (2, 1)]),
            ("slice_dim: 0 slice_point: 1", (3, 2), [(1, 2), (2, 2)]),
            ("", (2, 3), [(2, 3)]),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_concat_and_slice_undo_each_other(tmp_path: Path) -> None:
    x = np.arange(6.0).reshape(1, 6)
    fields = 'type: "Slice" slice_param { slice_point: 1 slice_point: 4 }'
    found = compute(layer_case(fields, x, tops=["a", "b", "c"]), tmp_path / "slice")
    pieces = [found[f"0|data|{name}"] for name in "abc"]
    assert [piece.tolist() for piece in pieces] == [[[0]], [[1, 2, 3]], [[4, 5]]]
    found = compute(layer_case('type: "Concat"', *pieces, diffs={"y": x + 10}), tmp_path / "concat")
    assert found["0|data|y"].tolist() == x.tolist()
    assert [found[f"0|diff|x{index}"].tolist() for index in range(3)] == [[[10]], [[11, 12, 13]], [[14, 15]]]


@pytest.mark.parametrize("kind", ["Concat", "Slice"])
def test_a_single_piece_is_the_other_blobs_memory(kind: str, tmp_path: Path) -> None:
    net = build(layer_case(f'type: "{kind}"', [[1.0, 2.0]]), tmp_path / "case")
    net.blobs["x0"].data[...] = [[3, 4]]
    net.blobs["y"].diff[...] = [[5, 6]]
    assert net.blobs["y"].data.tolist() == [[3, 4]] and net.blobs["x0"].diff.tolist() == [[5, 6]]


def test_pieces_are_copies(tmp_path: Path) -> None:
    net = build(
        layer_case('type: "Slice" slice_param { axis: 0 }', [[1.0], [2]], tops=["a", "b"]), tmp_path / "case"
    )
    net.blobs["x0"].data[...] = [[1], [2]]
    net.forward()
    net.blobs["a"].data[...] = 9
    assert net.blobs["x0"].data.tolist() == [[1], [2]]


def test_numbers_in_channels_last_are_joined_and_cut_as_they_are(tmp_path: Path) -> None:
    fields = 'type: "Slice" slice_param { slice_point: 1 }'
    x = normal(2, 3, 2, 2)
    net = build(layer_case(fields, x, tops=["a", "b"]), tmp_path / "case")
    net.blobs["x0"].data_tensor = torch.tensor(x).to(memory_format=torch.channels_last)
    net.forward()
    np.testing.assert_array_equal(net.blobs["b"].data, x[:, 1:])


@pytest.mark.parametrize(
    ("fields", "bottoms", "message"),
    [
        ('type: "Concat" concat_param { axis: 0 concat_dim: 0 }', [(1, 2)], "takes axis or concat_dim, not both"),
        ('type: "Concat" concat_param { axis: 2 }', [(1, 2)], "axis 2 is not one of the 2 axes"),
        ('type: "Concat"', [(1, 2), (2, 2)], "bottom x1 is 2×2, but x0 is 1×2: they may differ along axis 1 only"),
        ('type: "Slice" slice_param { slice_dim: 5 }', [(1, 2)], "slice_dim 5 is not one of the 2 axes"),
        ('type: "Slice" slice_param { slice_point: 1 }', [(1, 2)], "has 1 slice_point for 1 tops"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    fields: str, bottoms: list[tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LayerError, match=r"layer tested \((Concat|Slice)\): " + message):
        build(layer_case(fields, *map(np.zeros, bottoms)), tmp_path / "case")


def test_in_place_what_grows_is_refused(tmp_path: Path) -> None:
    """Caffe writes beyond its memory there."""
    with pytest.raises(LayerError, match="cannot work in place: it makes 1×4 of 1×2; name its top otherwise"):
        build(layer_case('type: "Concat"', [[1.0, 2]], [[3.0, 4]], in_place=True), tmp_path / "case")
