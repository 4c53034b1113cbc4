"""MVN: what is averaged over, its eps, which is added to the deviation, and its gradients."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

RANDOM = np.random.default_rng(7)
IMAGES = RANDOM.normal(3, 2, (2, 3, 4, 5)).astype(np.float32)
UP = RANDOM.normal(size=IMAGES.shape).astype(np.float32)

AGREED = [
    example(f"MVN {fields}{' in place' * in_place}", layer_case(
        f'type: "MVN" mvn_param {{ {fields} }}', IMAGES, in_place=in_place, diffs={"x0" if in_place else "y": UP},
    ))
    for fields in (
        "", "across_channels: true", "normalize_variance: false", "normalize_variance: false across_channels: true",
        "eps: 0.5",
    )
    for in_place in (False, True)
] + [
    example(f"MVN of {shape}, across_channels: {across}", layer_case(
        f'type: "MVN" mvn_param {{ across_channels: {across} eps: 0.1 }}', IMAGES.reshape(shape),
        diffs={"y": UP.reshape(*shape, *[1] * (4 - len(shape)))},
    ))
    for shape, across in (((6, 4, 5), "true"), ((6, 4, 5), "false"), ((3, 40), "true"))
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_worked_by_hand(tmp_path: Path) -> None:
    """Mean 3 and deviation 2; with eps 2, numbers are divided by 4."""
    x = np.array([1, 5]).reshape(1, 1, 1, 2)
    found = compute(layer_case('type: "MVN" mvn_param { eps: 2 }', x), tmp_path / "divided")
    assert found["0|data|y"].ravel().tolist() == [-0.5, 0.5]
    found = compute(
        layer_case('type: "MVN" mvn_param { normalize_variance: false }', x), tmp_path / "centred"
    )
    assert found["0|data|y"].ravel().tolist() == [-2, 2]


def test_a_top_of_four_axes(tmp_path: Path) -> None:
    assert build(layer_case('type: "MVN"', np.ones((2, 3))), tmp_path / "case").blobs["y"].shape == (
        2,
        3,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("axes", "in_place", "message"),
    [(2, True, "cannot work in place on 1×1, of which it makes four axes"), (5, False, "takes blobs of at most four")],
)  # fmt: skip
def test_what_cannot_be_is_refused(axes: int, in_place: bool, message: str, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(MVN\): " + message):
        build(layer_case('type: "MVN"', np.ones([1] * axes), in_place=in_place), tmp_path / "case")
