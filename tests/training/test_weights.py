"""Which layers a caffemodel fills, compared with what real Caffe does with the same files."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.binary import write_binary
from batchbrew.proto.blobs import array_blob
from batchbrew.proto.text import parse_prototxt
from batchbrew.training.weights import layer_blobs, match_weights

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "score" type: "InnerProduct" bottom: "conv" top: "score"
  inner_product_param { num_output: 5 weight_filler { type: "msra" } } }
"""
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "conv": [(4, 3, 3, 3), (4,)],
    "bn": [(4,), (4,), (1,)],
    "score": [(5, 144), (5,)],
}


def write_weights(path: Path, shapes: dict[str, list[tuple[int, ...]]], kind: str = "InnerProduct") -> Path:
    model = caffe_pb2.NetParameter()
    for name, layer_shapes in shapes.items():
        layer = model.layer.add(name=name, type=kind)
        layer.blobs.extend(array_blob(np.full(shape, 0.5, np.float32)) for shape in layer_shapes)
    write_binary(path, model)
    return path


def net(text: str = NET) -> caffe_pb2.NetParameter:
    return parse_prototxt(text, caffe_pb2.NetParameter)


def test_what_is_filled_new_and_not_used_is_named(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w", {**SHAPES, "fc8": [(1000, 144)]})
    match = match_weights(net(NET.replace('name: "score"', 'name: "mine"')), weights)
    assert (match.filled, match.unfilled, match.unused) == (("conv", "bn"), ("mine",), ("score", "fc8"))
    assert str(match) == (
        "2 layers get their weights; new, from their fillers: mine; not used, no such layer in the net: score, fc8"
    )


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        ("score", [(1000, 144), (1000,)], "layer score is 1000×144 there and 5×144 in the net"),
        ("conv", [(4, 3, 3, 3)], "layer conv has 1 blobs there and 2 in the net"),
        ("bn", [(4,), (5,), (1,)], "layer bn is 5 there and 4 in the net"),
    ],
)
def test_a_shape_that_differs_is_an_error_where_caffe_would_abort(
    tmp_path: Path, caffe_python: Path, layer: str, shapes: list[tuple[int, ...]], message: str
) -> None:
    weights = write_weights(tmp_path / "w", {**SHAPES, layer: shapes})
    with pytest.raises(InputError, match=message):
        match_weights(net(), weights)
    assert not caffe_takes(caffe_python, tmp_path, weights)


def caffe_takes(caffe_python: Path, folder: Path, weights: Path) -> bool:
    (folder / "net.prototxt").write_text(NET)
    code = "import caffe, sys; caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)"
    command: list[str | Path] = [caffe_python, "-c", code, folder / "net.prototxt", weights]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_old_blobs_with_four_axes_fit_as_in_caffe(tmp_path: Path, run_caffe: Callable[..., Any]) -> None:
    model = caffe_pb2.NetParameter()
    conv = model.layers.add(name="conv", type=caffe_pb2.V1LayerParameter.CONVOLUTION)
    score = model.layers.add(name="score", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    for layer, axes in (
        (conv, (4, 3, 3, 3)),
        (conv, (1, 1, 1, 4)),
        (score, (1, 1, 5, 144)),
        (score, (1, 1, 1, 5)),
    ):
        number, channels, height, width = axes
        layer.blobs.add(num=number, channels=channels, height=height, width=width).data.extend(
            [0.25] * (number * channels * height * width)
        )
    write_binary(tmp_path / "w", model)
    assert match_weights(net(), tmp_path / "w").filled == ("conv", "score")
    (tmp_path / "net.prototxt").write_text(NET)
    code = """
import json, sys, caffe
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
print(json.dumps([float(net.params[name][i].data.min()) for name in ("conv", "score") for i in (0, 1)]))
"""
    assert run_caffe(code, tmp_path / "net.prototxt", tmp_path / "w") == [0.25] * 4


def test_weights_of_another_network_are_refused_even_where_a_normalisation_fits(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w", {"bn": SHAPES["bn"], "fc6": [(4096, 9216)]})
    with pytest.raises(InputError, match="fills no layer of this net: it has bn, fc6, the net conv, score"):
        match_weights(net(), weights)


def test_blobs_are_found_in_all_three_formats() -> None:
    model = caffe_pb2.NetParameter()
    model.layer.add(name="relu")
    model.layer.add(name="conv").blobs.add()
    assert set(layer_blobs(model)) == {"conv"}
    model.layers.add(name="old").blobs.add()  # Caffe then passes over `layer`
    model.layers.add().layer.MergeFrom(
        caffe_pb2.V0LayerParameter(name="oldest", blobs=[caffe_pb2.BlobProto()])
    )
    assert set(layer_blobs(model)) == {"old", "oldest"}
