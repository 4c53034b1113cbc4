"""ReLU, PReLU, ELU and Clip: numbers worked by hand, in place, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

X = np.array([[-2, -0.5, 0], [0.25, 1, 3]])
DY = np.array([[1, 2, 3], [4, 5, 6]])
IMAGES = np.random.default_rng(1).normal(size=(2, 3, 4, 2)).astype(np.float32)
UP = np.random.default_rng(2).normal(size=IMAGES.shape).astype(np.float32)
SLOPES = np.array([0.5, -0.2, 1.5])

AGREED = [
    example(f"{fields}{' in place' * in_place}", layer_case(
        fields, X, in_place=in_place, diffs={"x0" if in_place else "y": DY},
    ))
    for fields in (
        'type: "ReLU"',
        'type: "ReLU" relu_param { negative_slope: 0.1 }',
        'type: "ReLU" relu_param { negative_slope: -0.5 }',
        'type: "ELU"',
        'type: "ELU" elu_param { alpha: 0.3 }',
        'type: "Clip" clip_param { min: -1 max: 0.5 }',
        'type: "Clip" clip_param { min: 1 max: -1 }',
        'type: "PReLU"',
        'type: "PReLU" prelu_param { channel_shared: true filler { value: 0.5 } }',
    )
    for in_place in (False, True)
] + [
    example(f"PReLU of {axes} axes{' shared' * shared}{' in place' * in_place}", layer_case(
        f'type: "PReLU" prelu_param {{ channel_shared: {str(shared).lower()} }}', IMAGES.reshape(shape),
        in_place=in_place, diffs={"x0" if in_place else "y": UP.reshape(shape)},
        parameters={0: SLOPES[0] if shared else SLOPES},
    ))
    for axes, shape in ((2, (16, 3)), (3, (2, 3, 8)), (4, (2, 3, 4, 2)))
    for shared in (False, True)
    for in_place in (False, True)
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_relu(tmp_path: Path) -> None:
    found = compute(layer_case('type: "ReLU"', X, diffs={"y": DY}), tmp_path / "case")
    np.testing.assert_array_equal(found["0|data|y"], [[0, 0, 0], [0.25, 1, 3]])
    np.testing.assert_array_equal(found["0|diff|x0"], [[0, 0, 0], [4, 5, 6]])


def test_leaky_relu_in_place(tmp_path: Path) -> None:
    """Its gradient is taken at y, which has the sign of x."""
    case = layer_case('type: "ReLU" relu_param { negative_slope: 0.5 }', X, in_place=True, diffs={"x0": DY})
    found = compute(case, tmp_path / "case")
    np.testing.assert_array_equal(found["0|data|x0"], [[-1, -0.25, 0], [0.25, 1, 3]])
    np.testing.assert_array_equal(found["0|diff|x0"], [[0.5, 1, 1.5], [4, 5, 6]])


@pytest.mark.parametrize("in_place", [False, True])
def test_prelu_learns_where_x_is_negative(in_place: bool, tmp_path: Path) -> None:
    """In place x is gone after the forward pass: a layer that took y for it would find half of these gradients."""
    y = "x0" if in_place else "y"
    case = layer_case('type: "PReLU"', X, in_place=in_place, diffs={y: DY}, parameters={0: [0.5, 0.5, 0.5]})
    found = compute(case, tmp_path / "case")
    np.testing.assert_array_equal(found[f"0|data|{y}"], [[-1, -0.25, 0], [0.25, 1, 3]])
    np.testing.assert_array_equal(found["0|gradient|tested|0"], [-2, -1, 0])
    np.testing.assert_array_equal(found["0|diff|x0"], [[0.5, 1, 1.5], [4, 5, 6]])


def test_prelu_starts_at_a_quarter(tmp_path: Path) -> None:
    found = compute(layer_case('type: "PReLU"', X), tmp_path / "case")
    np.testing.assert_array_equal(found["0|parameter|tested|0"], [0.25, 0.25, 0.25])


def test_prelu_in_place_keeps_x_though_somebody_looks_at_the_blob(tmp_path: Path) -> None:
    """A numpy view that is held shows y after the forward pass; what was kept must not."""
    net = build(layer_case('type: "PReLU"', [[-4.0]], in_place=True), tmp_path / "case")
    view = net.blobs["x0"].data
    view[...] = -4
    net.forward()
    assert view == -1
    net.backward(x0=np.array([[1]]))
    assert net.params["tested"][0].diff == -4


def test_clip_has_no_gradient_beyond_its_bounds(tmp_path: Path) -> None:
    found = compute(
        layer_case('type: "Clip" clip_param { min: -0.5 max: 1 }', X, diffs={"y": DY}), tmp_path / "case"
    )
    np.testing.assert_array_equal(found["0|data|y"], [[-0.5, -0.5, 0], [0.25, 1, 1]])
    np.testing.assert_array_equal(found["0|diff|x0"], [[0, 2, 3], [4, 5, 0]])


def test_elu(tmp_path: Path) -> None:
    case = layer_case('type: "ELU" elu_param { alpha: 2 }', [-np.log(2), 3], diffs={"y": [1, 1]})
    found = compute(case, tmp_path / "case")
    np.testing.assert_allclose(found["0|data|y"], [-1, 3], rtol=1e-6)
    np.testing.assert_allclose(found["0|diff|x0"], [1, 1], rtol=1e-6)


def test_prelu_of_five_axes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \(PReLU\): takes a blob of two to four axes"):
        compute(layer_case('type: "PReLU"', np.zeros((1, 2, 1, 1, 1))), tmp_path / "case")
