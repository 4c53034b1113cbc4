"""Rows and totals of a network worked out by hand, and the forms in which they are written."""

import json

import pytest

from batchbrew.nets.shapes import infer_shapes
from batchbrew.nets.summary import Summary, as_json, as_markdown, cost_cells, summarise, total_lines
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

NET = """
layer { name: "data" type: "Input" top: "x" top: "y" input_param {
  shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 16 kernel_size: 1 } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "left" type: "Sigmoid" bottom: "c" top: "left" }
layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "left" top: "sum" }
layer { name: "a|b" type: "InnerProduct" bottom: "sum" top: "f" inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "y" top: "loss" }
"""


@pytest.fixture
def summary() -> Summary:
    return summarise("tiny", "TRAIN", infer_shapes(parse_prototxt(NET, pb.NetParameter)))


def test_rows(summary: Summary) -> None:
    image = 8 * 8 * 4  # bytes of a channel
    rows = {
        row.name: (row.output, row.learned, row.statistics, row.multiply_adds, row.training_bytes, row.deployment_bytes)
        for row in summary.rows
    }  # fmt: skip
    assert rows == {
        "data": ("4×3×8×8, 4", 0, 0, 0, 3 * image + 4, 3 * image + 4),
        "conv": ("4×16×8×8", 64, 0, 48 * 64, 32 * image, 16 * image),
        "bn": ("4×16×8×8", 0, 33, 0, 32 * image, 0),  # two readers: a gradient for each
        "left": ("4×16×8×8", 0, 0, 0, 32 * image, 16 * image),
        "sum": ("4×16×8×8", 0, 0, 0, 32 * image, 16 * image),
        "a|b": ("4×5", 5 * 1024 + 5, 0, 5 * 1024, 40, 20),
        "loss": ("scalar", 0, 0, 0, 2, 1),  # a number for four images
    }


def test_totals(summary: Summary) -> None:
    assert (summary.learned, summary.statistics) == (64 + 5125, 33)
    assert summary.multiply_adds == 3072 + 5120
    assert summary.parameter_bytes == 4 * (5189 + 33)
    assert summary.logged_bytes == 4 * (4 * 193 + 6 * 4096 + 20 + 1)
    lines = "\n".join(total_lines(summary))
    assert "phase TRAIN, 4 images at a time" in lines
    assert "5,189 parameters and 33 BatchNorm statistics: 20.4 KiB" in lines
    assert "8,192 multiply-adds an image" in lines
    assert f"Memory required for data: {summary.logged_bytes}" in lines


def test_cells_have_units_of_the_columns(summary: Summary) -> None:
    conv = summary.rows[1]
    assert cost_cells(conv) == ("64", "0.003", "0.008", "0.004")  # 32·256 bytes are 0.0078 MiB
    assert cost_cells(summary.rows[2])[3] == ""
    assert cost_cells(summary.rows[-1]) == ("", "", "0.000", "0.000")


def test_json(summary: Summary) -> None:
    report = json.loads(as_json(summary))
    assert report["per_image"]["multiply_adds"] == 8192
    assert report["memory_required_for_data"] == summary.logged_bytes
    assert report["layers"][1] == {
        "name": "conv", "type": "Convolution", "tops": {"c": [4, 16, 8, 8]}, "parameters": 64, "statistics": 0,
        "shares_parameters": False, "multiply_adds": 3072, "training_bytes": 8192, "deployment_bytes": 4096,
    }  # fmt: skip


def test_markdown(summary: Summary) -> None:
    lines = as_markdown(summary).splitlines()
    assert (
        lines[2] == "| layer | type | output | parameters | mult-adds (M) | training (MiB) | deployed (MiB) |"
    )
    assert lines[5] == "| `conv` | Convolution | 4×16×8×8 | 64 | 0.003 | 0.008 | 0.004 |"
    assert "`a\\|b`" in lines[9]
    assert len({line.replace("\\|", "").count("|") for line in lines[2:11]}) == 1


def test_shared_parameters_are_said_to_be_shared() -> None:
    twin = 'layer {{ name: "{0}" type: "InnerProduct" bottom: "x" top: "{0}" param {{ name: "w" }} ' \
           "inner_product_param {{ num_output: 2 bias_term: false }} }}"  # fmt: skip
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }'
    net = parse_prototxt(text + twin.format("a") + twin.format("b"), pb.NetParameter)
    assert [cost_cells(row)[0] for row in summarise("twins", "TEST", infer_shapes(net)).rows] == [
        "",
        "6",
        "shared",
    ]
