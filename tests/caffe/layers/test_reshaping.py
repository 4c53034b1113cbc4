"""Reshape and Flatten: shapes, and one memory for two blobs, whoever made it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.net import Net
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, example, layer_case

X = np.random.default_rng(10).normal(size=(2, 3, 4)).astype(np.float32)
SHAPES = {
    'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }': (2, 12),
    'type: "Reshape" reshape_param { shape { dim: 4 dim: 6 } }': (4, 6),
    'type: "Reshape" reshape_param { shape { dim: 3 dim: -1 } axis: 1 num_axes: 1 }': (2, 3, 1, 4),
    'type: "Reshape" reshape_param { shape { dim: 1 dim: 1 } axis: -1 }': (2, 3, 4, 1, 1),
    'type: "Reshape" reshape_param { shape { dim: 1 } axis: 1 num_axes: 0 }': (2, 1, 3, 4),
    'type: "Flatten"': (2, 12),
    'type: "Flatten" flatten_param { axis: 0 end_axis: -2 }': (6, 4),
    'type: "Flatten" flatten_param { axis: -1 }': (2, 3, 4),
}

# The blob that is reshaped shares its own data with another: Split gives it that only in its forward pass.
BEHIND_SPLIT = """
force_backward: true
layer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 6 }} }} }}
layer {{ name: "scaled" type: "Scale" bottom: "x" top: "s" scale_param {{ filler {{ value: 2 }} }} }}
layer {{ name: "tested" bottom: "s" top: "y" {0} }}
layer {{ name: "other" type: "Power" bottom: "s" top: "z" power_param {{ scale: 3 }} }}
layer {{ name: "rectified" type: "ReLU" bottom: "y" top: "y" }}
"""


def behind_split(fields: str) -> Case:
    numbers = np.random.default_rng(11).normal(size=(3, 2, 6)).astype(np.float32)
    net = parse_prototxt(BEHIND_SPLIT.format(fields), pb.NetParameter)
    diffs: dict[str, Array] = {"z": numbers[1], "y": numbers[2].reshape(2, 2, 3)}
    diffs["y"] = diffs["y"].reshape(2, 6) if "Flatten" in fields else diffs["y"]
    return Case("net", 1, 1, net, pb.TRAIN, [Pass({"x": numbers[0]}, diffs)] * 2)


AGREED = [
    *(
        example(fields, layer_case(fields, X, diffs={"y": (X + 1).reshape(shape)}))
        for fields, shape in SHAPES.items()
    ),
    example("Flatten behind a Split", behind_split('type: "Flatten"')),
    example(
        "Reshape behind a Split",
        behind_split('type: "Reshape" reshape_param { shape { dim: 2 dim: 2 dim: 3 } }'),
    ),
]


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize(("fields", "shape"), SHAPES.items())
def test_shapes(fields: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    assert build(layer_case(fields, X), tmp_path / "case").blobs["y"].shape == shape


def shown(net: Net, blob: str, part: str) -> list[float]:
    numbers: list[float] = getattr(net.blobs[blob], part).ravel().tolist()
    return numbers


def test_reshape_shares_data_and_gradient_at_all_times(tmp_path: Path) -> None:
    net = build(
        layer_case('type: "Reshape" reshape_param { shape { dim: -1 } }', [[1.0], [2]]), tmp_path / "case"
    )
    for part in ("data", "diff"):
        getattr(net.blobs["x0"], part)[...] = [[3], [4]]
        assert shown(net, "y", part) == [3, 4]
        getattr(net.blobs["y"], part)[...] = [5, 6]
        assert shown(net, "x0", part) == [5, 6]


def test_flatten_shares_data_forward_and_gradient_backward(tmp_path: Path) -> None:
    net = build(layer_case('type: "Flatten"', [[1.0, 2]]), tmp_path / "case")
    net.forward()
    net.blobs["x0"].data[...] = [[3, 4]]
    assert shown(net, "y", "data") == [3, 4]
    net.blobs["y"].diff[...] = [[5, 6]]
    assert shown(net, "x0", "diff") == [0, 0]
    net.backward()
    assert shown(net, "x0", "diff") == [5, 6]
    net.blobs["x0"].diff_tensor = torch.tensor([[7.0, 8]])
    assert shown(net, "y", "diff") == [7, 8]


def test_another_size_is_shared_too(tmp_path: Path) -> None:
    net = build(
        layer_case('type: "Reshape" reshape_param { shape { dim: -1 } }', [[1.0, 2]]), tmp_path / "case"
    )
    net.blobs["x0"].reshape(2, 2)
    net.reshape()
    net.blobs["x0"].data[...] = [[1, 2], [3, 4]]
    assert shown(net, "y", "data") == [1, 2, 3, 4]


def test_numbers_in_channels_last_come_in_caffes_order(tmp_path: Path) -> None:
    x = torch.arange(8.0).reshape(1, 2, 2, 2)
    net = build(layer_case('type: "Flatten"', x.numpy()), tmp_path / "case")
    net.blobs["x0"].data_tensor = x.to(memory_format=torch.channels_last)
    net.forward()
    assert shown(net, "y", "data") == list(range(8))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('type: "Reshape" reshape_param { shape { dim: 5 } }', "makes 5, 5 numbers, of its bottom, 2×3×4, 24 numbers"),
        ('type: "Reshape" reshape_param { shape { dim: -1 dim: -1 } }', r"shape \[-1, -1\] has more than one -1"),
        ('type: "Reshape" reshape_param { shape { dim: 7 dim: -1 } }', r"cannot make \[7, -1\] of its bottom"),
        ('type: "Flatten" flatten_param { axis: 2 end_axis: 0 }', "axis 2 lies behind end_axis 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(fields: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"layer tested \((Reshape|Flatten)\): " + message):
        build(layer_case(fields, X), tmp_path / "case")
