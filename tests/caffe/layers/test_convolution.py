"""Convolution and Deconvolution: numbers worked by hand, both ways to compute, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import batchbrew.caffe as caffe
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.convolving import ByColumns, Native
from batchbrew.caffe.layers.im2col import Columns
from batchbrew.nets.shapes.windows import Window
from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

RANDOM = np.random.default_rng(5)


def drawn(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def convolution(
    kind: str,
    shape: tuple[int, ...],
    fields: str,
    weights: tuple[int, ...],
    top: tuple[int, ...],
    bottoms: int = 1,
    outside: str = "",
) -> Case:
    tops = [f"y{number}" for number in range(bottoms)]
    outputs = weights[0] if kind == "Convolution" else top[-len(weights) + 1]
    parameters = {0: drawn(*weights)} if "bias_term" in fields else {0: drawn(*weights), 1: drawn(outputs)}
    return layer_case(
        f'type: "{kind}" {outside} convolution_param {{ num_output: {outputs} {fields} }}',
        *[drawn(*shape) for _ in tops], tops=tops, diffs={name: drawn(*top) for name in tops}, parameters=parameters,
    )  # fmt: skip


FROZEN = "param { lr_mult: 0 } param { lr_mult: 1 }"
CASES: dict[str, tuple[Any, ...]] = {
    "points": ("Convolution", (3, 4), "kernel_size: 1 group: 2", (6, 2), (3, 6)),
    "points, as the kernel says": ("Convolution", (3, 4), "kernel_size: 3", (2, 4), (3, 2)),
    "one axis": ("Convolution", (2, 4, 9), "kernel_size: 3 stride: 2 pad: 1", (2, 4, 3), (2, 2, 5)),
    "three axes": (
        "Convolution", (2, 2, 5, 4, 6), "kernel_size: [2, 1, 3] pad: [0, 1, 2] dilation: [1, 1, 2]",
        (4, 2, 2, 1, 3), (2, 4, 4, 6, 6),
    ),
    "four axes": (
        "Convolution", (2, 4, 3, 4, 3, 5), "kernel_size: 2 stride: [1, 1, 1, 2] pad: 1 group: 2 dilation: [1, 2, 1, 1]",
        (2, 2, 2, 2, 2, 2), (2, 2, 4, 4, 4, 3),
    ),
    "images of two axes": (
        "Convolution", (2, 3, 4, 5, 5), "axis: -3 kernel_size: 3 bias_term: false", (2, 4, 3, 3), (2, 3, 2, 3, 3)
    ),
    "no axis of images": ("Convolution", (4, 6, 5), "axis: 0 kernel_size: 3", (2, 4, 3, 3), (2, 4, 3)),
    "sides": (
        "Convolution", (2, 2, 7, 8), "kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 pad_h: 2 pad_w: 0",
        (3, 2, 3, 2), (2, 3, 9, 3),
    ),
    "shared": ("Convolution", (2, 2, 4, 4), "kernel_size: 3", (2, 2, 3, 3), (2, 2, 2, 2), 3),
    "frozen": ("Convolution", (2, 2, 4, 4), "kernel_size: 3", (2, 2, 3, 3), (2, 2, 2, 2), 2, FROZEN),
    "forced": ("Convolution", (2, 2, 5, 5), "kernel_size: 3 force_nd_im2col: true", (3, 2, 3, 3), (2, 3, 3, 3)),
    "all taps on one pixel": ("Convolution", (2, 2, 5, 5), "kernel_size: 3 dilation: 0", (3, 2, 3, 3), (2, 3, 5, 5)),
    "windows larger than the image": (
        "Convolution", (2, 2, 3, 6), "kernel_size: 5 stride: 3 pad: [0, 1]", (2, 2, 5, 5), (2, 2, 1, 2)
    ),
    "taps that never meet the image": (
        "Convolution", (2, 4, 5, 1), "kernel_size: 3 stride: 2 pad: 1", (3, 4, 3, 3), (2, 3, 3, 1)
    ),
    "more pad than image": (
        "Convolution", (1, 2, 3, 3), "kernel_size: 2 stride: 90 pad: 101", (2, 2, 2, 2), (1, 2, 3, 3)
    ),
    "points, back": ("Deconvolution", (3, 4), "kernel_size: 1 group: 2", (4, 3), (3, 6)),
    "one axis, back": ("Deconvolution", (2, 4, 4), "kernel_size: 3 stride: 2 pad: 1", (4, 2, 3), (2, 2, 7)),
    "sides, back": (
        "Deconvolution", (2, 4, 3, 4), "group: 2 kernel_h: 4 kernel_w: 3 stride_h: 3 stride_w: 2 dilation: [1, 2]",
        (4, 1, 4, 3), (2, 2, 10, 11),
    ),
    "three axes, back": (
        "Deconvolution", (2, 2, 2, 3, 2), "kernel_size: 2 stride: [1, 2, 3]", (2, 2, 2, 2, 2), (2, 2, 3, 6, 5)
    ),
    "four axes, back": (
        "Deconvolution", (2, 4, 2, 2, 3, 2), "kernel_size: 2 stride: [1, 2, 1, 3] group: 2 pad: [1, 0, 0, 1]",
        (4, 1, 2, 2, 2, 2), (2, 2, 1, 4, 4, 3),
    ),
    "shared, back": ("Deconvolution", (2, 2, 3, 3), "kernel_size: 3 stride: 2", (2, 2, 3, 3), (2, 2, 7, 7), 2),
    "all taps on one pixel, back": (
        "Deconvolution", (2, 2, 3, 3), "kernel_size: 3 dilation: 0", (2, 2, 3, 3), (2, 2, 3, 3)
    ),
}  # fmt: skip
AGREED = [
    *(example(f"Convolution: {name}", convolution(*case)) for name, case in CASES.items()),
    *(
        example(f"{kind} that learns {rates}, {windows}", layer_case(
            f'type: "{kind}" param {{ lr_mult: {rates[0]} }} param {{ lr_mult: {rates[1]} }} loss_weight: 1 '
            f"propagate_down: {str(bool(rates[2])).lower()} convolution_param {{ num_output: 2 {windows} }}",
            drawn(2, 2, 4, 4), learned=0, parameters={0: drawn(2, 2, 3, 3), 1: drawn(2)},
        ))
        for kind in ("Convolution", "Deconvolution")
        for rates in ([0, 1, 1], [1, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0])
        for windows in ("kernel_size: 3", "kernel_size: 3 dilation: 0")
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_a_convolution_by_hand(tmp_path: Path) -> None:
    """A difference, and 10; with it x - y and 10 from two images of one channel and three columns."""
    case = layer_case(
        'type: "Convolution" convolution_param { num_output: 1 kernel_size: 2 }',
        [[[1, 2, 4]], [[0, 5, 5]]],
        diffs={"y": [[[1, 10]], [[100, 1000]]]},
        parameters={0: [[[1, -1]]], 1: [10]},
    )
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == [[[9, 8]], [[5, 10]]]
    assert found["0|diff|x0"].tolist() == [[[1, 9, -10]], [[100, 900, -1000]]]
    assert found["0|gradient|tested|0"].tolist() == [[[1 + 20 + 5000, 2 + 40 + 500 + 5000]]]
    assert found["0|gradient|tested|1"].tolist() == [1111]


def test_a_deconvolution_by_hand(tmp_path: Path) -> None:
    """Each pixel lays down the kernel, a stride apart."""
    case = layer_case(
        'type: "Deconvolution" convolution_param { num_output: 1 kernel_size: 3 stride: 2 bias_term: false }',
        [[[1, 10]]], diffs={"y": [[[1, 0, 100, 0, 0]]]}, parameters={0: [[[1, 2, 3]]]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == [[[1, 2, 3 + 10, 20, 30]]]
    assert found["0|diff|x0"].tolist() == [[[1 + 300, 100]]]
    assert found["0|gradient|tested|0"].tolist() == [[[1 + 1000, 0, 100]]]


def test_groups_do_not_see_each_other(tmp_path: Path) -> None:
    case = layer_case(
        'type: "Convolution" convolution_param { num_output: 2 group: 2 kernel_size: 1 bias_term: false }',
        [[[1], [2]]], parameters={0: [[[10]], [[100]]]},
    )  # fmt: skip
    assert compute(case, tmp_path / "case")["0|data|y"].ravel().tolist() == [10, 200]


def test_gradients_of_weights_add_up_over_bottoms(tmp_path: Path) -> None:
    case = layer_case(
        'type: "Convolution" convolution_param { num_output: 1 kernel_size: 1 bias_term: false }',
        [[[2, 3]]], [[[5, 7]]], tops=["y0", "y1"], parameters={0: [[[1]]]},
        diffs={"y0": [[[1, 10]]], "y1": [[[100, 1000]]]},
    )  # fmt: skip
    assert compute(case, tmp_path / "case")["0|gradient|tested|0"].item() == 2 + 30 + 500 + 7000


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("group", [1, 2])
def test_both_ways_give_the_same(transposed: bool, group: int) -> None:
    torch.manual_seed(0)
    windows = [Window(3, 2, 1, 2), Window(2, 1, 0, 1)]
    wide, narrow = (2, 4, 9, 5), (2, 6, 4, 4)
    x, gradient = (
        (torch.randn(narrow), torch.randn(wide)) if transposed else (torch.randn(wide), torch.randn(narrow))
    )
    weights, bias = torch.randn(6, 4 // group, 3, 2), torch.randn(4 if transposed else 6)
    columns = ByColumns(Columns(windows, narrow[2:], wide[2:]), group, transposed)
    native = Native(windows, group, transposed)
    torch.testing.assert_close(columns.forward(x, weights, bias), native.forward(x, weights, bias))
    asked = (True, True, True)
    torch.testing.assert_close(
        columns.backward(gradient, x, weights, asked), native.backward(gradient, x, weights, asked),
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("channels", [4, 12])
def test_points_with_a_stride_over_few_channels(channels: int, transposed: bool) -> None:
    """For their weights oneDNN writes behind its memory, in channels_last and large batches."""
    torch.manual_seed(0)
    wide, narrow = torch.randn(32, channels, 31, 31), torch.randn(32, 8, 16, 16)
    x, gradient = (narrow, wide) if transposed else (wide, narrow)
    native = Native([Window(1, 2, 0, 1)] * 2, 1, transposed)
    x, gradient = (each.contiguous(memory_format=torch.channels_last) for each in (x, gradient))
    _, found, _ = native.backward(gradient, x, torch.randn(8, channels, 1, 1), (True, True, True))
    expected = torch.einsum("nohw,nchw->oc", narrow, wide[:, :, ::2, ::2])
    torch.testing.assert_close(found, expected[:, :, None, None], rtol=1e-4, atol=1e-2)


def test_taps_that_never_meet_the_image_learn_nothing_in_bf16(tmp_path: Path) -> None:
    """OneDNN left their gradients as the memory was."""
    net = """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [16, 64, 1, 1] } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c" loss_weight: 1 convolution_param {
          num_output: 64 kernel_size: 3 stride: 2 pad: 1 bias_term: false weight_filler { type: "xavier" } } }
    """
    path = tmp_path / "net.prototxt"
    path.write_text(net)
    caffe.set_precision("bf16")
    try:
        made = caffe.Net(str(path), caffe.TRAIN)
        made.blobs["x"].data[...] = drawn(16, 64, 1, 1)
        for _ in range(3):
            spoilt = [torch.full((size,), torch.nan) for size in (10**3, 10**4, 10**5, 10**6)]
            del spoilt
            made.forward()
            made.clear_param_diffs()
            made.backward()
            gradient = made.params["c"][0].diff
            assert gradient[:, :, 1, 1].all()
            gradient[:, :, 1, 1] = 0
            assert not gradient.any()
    finally:
        caffe.set_precision("fp32")


def test_absurd_windows_take_no_memory(tmp_path: Path) -> None:
    """A billion pixels of pad on each side, and a billion from one window to the next."""
    many = 10**9
    case = layer_case(
        f'type: "Convolution" convolution_param {{ num_output: 1 kernel_size: 1 pad: {many} stride: {many} }}',
        [[[[2, 0], [0, 0]]]], parameters={0: [[[[3]]]], 1: [1]}, diffs={"y": np.ones((1, 1, 3, 3))},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].ravel().tolist() == [1, 1, 1, 1, 7, 1, 1, 1, 1]
    assert found["0|diff|x0"].ravel().tolist() == [3, 0, 0, 0]


def test_what_has_no_shape_is_refused_with_the_layers_name(tmp_path: Path) -> None:
    case = layer_case(
        'type: "Convolution" convolution_param { num_output: 3 kernel_size: 1 group: 2 }', [[[1], [2]]]
    )
    with pytest.raises(LayerError, match=r"^layer tested \(Convolution\): group 2 must divide"):
        compute(case, tmp_path / "case")
