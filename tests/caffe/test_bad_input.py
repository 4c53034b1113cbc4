"""Hostile nets, and what is said of each: the layer, and the value."""

from pathlib import Path

import pytest

from batchbrew import caffe
from batchbrew.caffe import memory_limit
from batchbrew.caffe.net import Net
from batchbrew.errors import InputError
from tests.caffe.written_nets import convolution, layer, of_image, of_sequence, reading, source

INT = 2**31 - 1
UINT = 2**32 - 1
GIGABYTE = 2**30

NETS = {
    # lengths
    source(f"dim: 1 dim: {2**31} dim: 1"): r"layer in_x \(Input\): its output 1×2147483648×1 is too large",
    source(
        "dim: 1000000000 dim: 3 dim: 227"
    ): r"layer in_x \(Input\): its output 1000000000×3×227 is too large",
    source("dim: 1000000000"): r"layer in_x \(Input\): the net takes 4\.0 GB up to here, but 1\.1 GB",
    source("dim: -1 dim: 3"): "the output of layer in_x would be -1×3",
    source(f"dim: {2**63 - 1} dim: {2**63 - 1}"): r"layer in_x \(Input\): its output 9223372036854775807×",
    source("dim: 1 " * 33): r"layer in_x \(Input\): its output has 33 axes: .* 32 at most",
    source("dim: 1.5"): r"net\.prototxt:1:.*a whole number .* for dim is expected",
    source(
        f"dim: {2**63}"
    ): r"net\.prototxt:1:.*9223372036854775807 for dim is expected, not 9223372036854775808",
    # windows
    convolution(
        f"num_output: 1 kernel_size: {INT}"
    ): r"layer bad \(Convolution\): its parameter 0 1×2×2147483647×",
    convolution(
        f"num_output: 1 kernel_size: 3 pad: {INT}"
    ): r"\(Convolution\): its output 1×1×4294967300×4294967300",
    convolution(
        f"num_output: 1 kernel_size: 3 dilation: {INT}"
    ): "output of layer bad would be 1×1×-4294967286×",
    convolution(
        f"num_output: 1 kernel_size: 1 stride: {UINT}"
    ): r"layer bad \(Convolution\): .* 4294967295: 2,147,",
    convolution(
        "num_output: 1 kernel_size: 0"
    ): r"layer bad \(Convolution\): kernel_size must be 1 or more, not 0",
    convolution(
        "num_output: 1 kernel_size: 3 group: 0"
    ): r"layer bad \(Convolution\): group 0 must divide the 2",
    convolution("num_output: 0 kernel_size: 3"): r"layer bad \(Convolution\): num_output must be given",
    convolution(
        f"num_output: {UINT} kernel_size: 3"
    ): r"layer bad \(Convolution\): its parameter 0 4294967295×2×3×3",
    convolution("num_output: -1 kernel_size: 3"): r"net\.prototxt:2:.*for num_output is expected, not \"-\"",
    convolution(
        "num_output: 1 kernel_size: 3 axis: -9"
    ): r"layer bad \(Convolution\): axis -9 is not one of the 4",
    of_image("Deconvolution", f"convolution_param {{ num_output: 1 kernel_size: 1 stride: {INT} }}"): (
        r"layer bad \(Deconvolution\): its output 1×1×15032385530×15032385530 is too large"
    ),
    of_image(
        "Im2col", f"convolution_param {{ kernel_size: {INT} pad: {INT} }}"
    ): r"layer bad \(Im2col\): its output",
    of_image(
        "Pooling", f"pooling_param {{ kernel_size: {UINT} }}"
    ): "output of layer bad would be 1×2×-4294967286×",
    of_image("Pooling", f"pooling_param {{ kernel_size: {INT} pad: {2**30} stride: {INT} }}"): (
        r"layer bad \(Pooling\): the net takes [\d,.]+ GB up to here"
    ),
    of_image(
        "SPP", "spp_param { pyramid_height: 30 }"
    ): r"layer bad \(SPP\): cannot divide 8 pixels into 16 bins",
    of_image(
        "SPP", f"spp_param {{ pyramid_height: {UINT} }}"
    ): r"layer bad \(SPP\): cannot divide 8 pixels into 16",
    of_image("LRN", "lrn_param { local_size: 0 }"): r"layer bad \(LRN\): local_size must be odd, not 0",
    # weights
    of_image(
        "InnerProduct", f"inner_product_param {{ num_output: {UINT} }}"
    ): r"its parameter 0 4294967295×128 is",
    source("dim: 1 dim: 46341") + layer("InnerProduct", "inner_product_param { num_output: 46341 }"): (
        r"layer bad \(InnerProduct\): its parameter 0 46341×46341 is too large: .* 2,147,483,647 numbers"
    ),
    source("dim: 1 dim: 46340")
    + layer("InnerProduct", "inner_product_param { num_output: 46340 weight_filler { type: 'msra' } }"): (
        r"layer bad \(InnerProduct\): the net takes 8\.6 GB"
    ),
    of_image(
        "Embed", f"embed_param {{ input_dim: {2**31} num_output: 1 }}"
    ): r"layer bad \(Embed\): its parameter 0 214",
    of_sequence("num_output: 1000000"): r"layer bad \(LSTM\): its parameter 2 4000000×1000000 is too large",
    of_sequence(
        "num_output: 1", steps=10**6
    ): r"layer bad \(LSTM\): has 1,000,000 steps: it is unrolled to 100,000",
    of_image("InnerProduct", "inner_product_param { num_output: 1 weight_filler { type: 'best' } }"): (
        r"layer bad \(InnerProduct\): has a filler of type 'best'"
    ),
    # axes, counts, points
    of_image("ArgMax", f"argmax_param {{ top_k: {UINT} }}"): r"top_k must be from 1 to 128, not 4294967295",
    of_image(
        "Tile", "tile_param { tiles: 1000000000 }"
    ): r"layer bad \(Tile\): its output 1×2000000000×8×8 is too",
    of_image("Tile", "tile_param { tiles: -1 }"): r"layer bad \(Tile\): tiles must be given, 1 or more",
    of_image(
        "Reshape", "reshape_param { shape { dim: -2 dim: -64 } }"
    ): "output of layer bad would be -2×-64",
    of_image(
        "Reshape", f"reshape_param {{ axis: {-(2**31)} num_axes: {INT} }}"
    ): r"axis -2147483648 and num_axes 214",
    of_image(
        "Slice", f"slice_param {{ slice_point: {UINT} }}", tops="y z"
    ): r"slice_point \[4294967295\] must rise",
    of_image(
        "Concat", f"concat_param {{ concat_dim: {UINT} }}"
    ): r"layer bad \(Concat\): concat_dim 4294967295 is not",
    of_image(
        "Reduction", "reduction_param { axis: 4 }"
    ): r"layer bad \(Reduction\): axis 4 is not one of the 4 axes",
    layer(
        "DummyData", f"dummy_data_param {{ shape {{ dim: {INT} }} data_filler {{ type: 'uniform' }} }}", ""
    ): (r"layer bad \(DummyData\): the net takes 8\.6 GB"),
    layer(
        "MemoryData",
        f"memory_data_param {{ batch_size: {UINT} channels: {UINT} height: 1 width: 1 }}",
        "",
        "y z",
    ): (r"layer bad \(MemoryData\): its output 4294967295×4294967295×1×1 is too large"),
    # wiring
    layer("ReLU"): r"layer bad \(ReLU\): no layer before it makes its bottom 'x'",
    layer("ReLU", bottoms="q", tops="p") + layer("ReLU", bottoms="p", tops="q", name="b"): (
        r"layer bad \(ReLU\): no layer before it makes its bottom 'q'"
    ),
    of_image("ReLU", tops="x y"): r"layer bad \(ReLU\): takes 1 tops, not 2",
    of_image("ReLU")
    + layer("TanH", name="again"): r"layer again \(TanH\): its top y is already made by layer bad",
    of_image("ReLU", "param { } param { }"): r"layer bad \(ReLU\): has 2 param, but only 0 parameters",
    of_image("ReLU", "loss_weight: 1 loss_weight: 2"): r"layer bad \(ReLU\): has 2 loss_weight for 1 tops",
    of_image("Nope"): "layer bad has type 'Nope', which this engine does not have: it has AbsVal, Accuracy, ",
    of_image(
        "Poling"
    ): r"layer bad has type 'Poling', which this engine does not have: did you mean Pooling\?",
    "layer { " * 5000: r"net\.prototxt:1:.*LayerParameter has no field \"layer\"",
    of_image(
        "ReLU", bottoms="n" * 10**6
    ): r"layer bad \(ReLU\): no layer before it makes its bottom 'n+ \.\.\. n+'",
    of_image("ReLU", bottoms=r"a\000b\nc"): r"layer bad \(ReLU\): no layer .* bottom 'a\\x00b\\nc'",
    # files
    layer(
        "Python", "python_param { module: '.os' layer: 'path' }", ""
    ): r"layer bad \(Python\): .* not '\.os'",
    layer(
        "Data", r"data_param { source: 'a\000b' batch_size: 1 backend: LMDB }", ""
    ): r"layer bad \(Data\): .*a\\x00b",
    reading("Data", "data_param", "backend: LMDB"): r"layer bad \(Data\): none does not exist",
    layer(
        "ImageData", r"image_data_param { source: 'a\000b' batch_size: 1 }", "", "y z"
    ): r"\(ImageData\): .*a\\x00b",
    reading(
        "ImageData", "image_data_param", f"new_height: {UINT} new_width: {UINT}"
    ): r"has new_height 4294967295",
    layer(
        "HDF5Data", "hdf5_data_param { source: 'none' batch_size: 1 }", "", ""
    ): r"\(HDF5Data\): takes 1 or more tops",
    reading("WindowData", "window_data_param", "", f"transform_param {{ crop_size: {UINT} }}"): (
        r"layer bad \(WindowData\): its output 1×3×4294967295×4294967295 is too large"
    ),
    reading(
        "WindowData", "window_data_param", r"source: 'a\000b'", "transform_param { crop_size: 3 }"
    ).replace("source: 'none'", ""): r"layer bad \(WindowData\): its source a\\x00b cannot be read",
}


@pytest.mark.parametrize(("net", "complaint"), NETS.items(), ids=range(len(NETS)))
def test_nets(net: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "available_bytes", lambda: GIGABYTE + 10**7)
    path = tmp_path / "net.prototxt"
    path.write_text(net)
    with pytest.raises(InputError, match=complaint) as error:
        Net(path, caffe.TEST)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 1500
