"""Hand-picked hostile inputs, and what is said of each: the layer, and the value."""

import contextlib
import struct
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from batchbrew import caffe
from batchbrew.caffe import memory_limit
from batchbrew.caffe.net import Net
from batchbrew.caffe.solving.solver import Solver
from batchbrew.caffe.solving.solvers import get_solver
from batchbrew.errors import EngineError, InputError
from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.blobs import array_blob

INT = 2**31 - 1
UINT = 2**32 - 1
GIGABYTE = 2**30
IMAGE = "dim: 1 dim: 2 dim: 8 dim: 8"


def source(lengths: str, name: str = "x") -> str:
    return (
        f'layer {{ name: "in_{name}" type: "Input" top: "{name}" input_param {{ shape {{ {lengths} }} }} }}\n'
    )


def layer(kind: str, settings: str = "", bottoms: str = "x", tops: str = "y", name: str = "bad") -> str:
    blobs = [f'bottom: "{bottom}"' for bottom in bottoms.split()] + [f'top: "{top}"' for top in tops.split()]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(blobs)} {settings} }}\n'


def of_image(kind: str, settings: str = "", **blobs: str) -> str:
    return source(IMAGE) + layer(kind, settings, **blobs)


def convolution(settings: str) -> str:
    return of_image("Convolution", f"convolution_param {{ {settings} }}")


def of_sequence(settings: str, steps: int = 1) -> str:
    sequence = source(f"dim: {steps} dim: 1 dim: 1") + source(f"dim: {steps} dim: 1", "marks")
    return sequence + layer("LSTM", f"recurrent_param {{ {settings} }}", "x marks")


def reading(kind: str, parameter: str, settings: str, more: str = "") -> str:
    tops = "y" if kind in ("Data", "HDF5Data") else "y z"
    return layer(kind, f"{parameter} {{ source: 'none' batch_size: 1 {settings} }} {more}", "", tops)


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
    of_image("Nope"): "layer bad has type 'Nope', which this engine does not have",
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


def made(folder: Path, net: str) -> Net:
    path = folder / "net.prototxt"
    path.write_text(net)
    return Net(path, caffe.TRAIN)


LABELLED = source("dim: 2 dim: 3") + source("dim: 2", "l")


@pytest.mark.parametrize("label", [3, -1, 1e30, -1e30, np.nan, np.inf, 2.0**31, 2.0**32, 2.0**64])
@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "HingeLoss", "MultinomialLogisticLoss", "Accuracy"])
def test_labels(kind: str, label: float, tmp_path: Path) -> None:
    net = made(tmp_path, LABELLED + layer(kind, bottoms="x l"))
    net.blobs["l"].data[1] = label
    with pytest.raises(
        InputError, match=rf"layer bad \({kind}\): finds label .* in bottom l, but knows 3 classes"
    ):
        net.forward()


def test_an_empty_batch_is_told_by_the_loss(tmp_path: Path) -> None:
    net = made(tmp_path, LABELLED + layer("HingeLoss", bottoms="x l"))
    net.blobs["x"].reshape(0, 3)
    net.blobs["l"].reshape(0)
    with pytest.raises(InputError, match=r"layer bad \(HingeLoss\): bottom x, 0×3, has no numbers"):
        net.forward()


def test_columns_of_a_long_image_are_counted_where_they_are_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,001 × 2,000 taps and positions of rows, while the 50,000 columns are still there, of which two remain."""
    monkeypatch.setattr(memory_limit, "available_bytes", lambda: GIGABYTE)
    settings = "num_output: 1 kernel_h: 2001 kernel_w: 1 stride_h: 1 stride_w: 49999 pad_h: 2000 pad_w: 0 dilation: 0"
    net = source("dim: 1 dim: 1 dim: 1 dim: 50000") + layer(
        "Convolution", f"convolution_param {{ {settings} }}"
    )
    with pytest.raises(InputError, match=r"layer bad \(Convolution\): the net takes [\d,]+\.\d GB"):
        made(tmp_path, net)


def test_weights_are_measured_before_they_are_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "available_bytes", lambda: 1000)
    monkeypatch.setattr("batchbrew.caffe.layer.fill", lambda *arguments: pytest.fail("filled"))
    with pytest.raises(InputError, match=r"layer bad \(InnerProduct\): the net takes"):
        made(tmp_path, of_image("InnerProduct", "inner_product_param { num_output: 5 }"))


# What types cannot be built without; the rest takes defaults.
NEEDED = {
    "Convolution": "convolution_param { num_output: 2 kernel_size: 1 axis: 0 }",
    "Deconvolution": "convolution_param { num_output: 2 kernel_size: 1 axis: 0 }",
    "Embed": "embed_param { num_output: 2 input_dim: 3 }",
    "HDF5Output": "hdf5_output_param { file_name: 'out.h5' }",
    "Im2col": "convolution_param { kernel_size: 1 axis: 0 }",
    "InnerProduct": "inner_product_param { num_output: 2 axis: 0 }",
    "LSTM": "recurrent_param { num_output: 2 }",
    "Pooling": "pooling_param { kernel_size: 1 }",
    "RNN": "recurrent_param { num_output: 2 }",
    "Reshape": "reshape_param { shape { } }",
    "SPP": "spp_param { pyramid_height: 1 }",
    "Scale": "scale_param { axis: 0 num_axes: 0 bias_term: true }",
    "Tile": "tile_param { tiles: 2 axis: 0 }",
}
READS_FILES = ("Data", "HDF5Data", "ImageData", "Python", "WindowData")
FEW_AXES = ("", "dim: 1", "dim: 1 dim: 1")


@pytest.mark.parametrize("kind", [kind for kind in sorted(LAYER_TYPES) if kind not in READS_FILES])
def test_blobs_of_few_axes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No matter which types take them: nothing else than an InputError is raised."""
    monkeypatch.chdir(tmp_path)
    counts = range(LAYER_TYPES[kind].bottoms.least, (LAYER_TYPES[kind].bottoms.most or 2) + 1)
    for shapes in (shapes for count in counts for shapes in product(FEW_AXES, repeat=min(count, 3))):
        bottoms = [f"b{index}" for index in range(len(shapes))]
        inputs = "".join(source(shape, name) for shape, name in zip(shapes, bottoms, strict=True))
        tops = " ".join(f"y{index}" for index in range(LAYER_TYPES[kind].tops.least))
        text = "force_backward: true " + inputs + layer(kind, NEEDED.get(kind, ""), " ".join(bottoms), tops)
        with contextlib.suppress(InputError):
            net = made(tmp_path, text)
            net.forward()
            net.backward()


@pytest.mark.parametrize("kind", ["ReLU", "Reduction", "Im2col", "BatchNorm"])
def test_bottoms_that_a_program_empties(kind: str, tmp_path: Path) -> None:
    net = made(tmp_path, of_image(kind, NEEDED.get(kind, "").replace("axis: 0", "")))
    net.blobs["x"].reshape(1, 2, 0, 8)
    with pytest.raises(InputError, match=r"layer bad .*(bottom x is 1×2×0×8|would be 1×2×0×8)"):
        net.forward()


@pytest.mark.parametrize(
    "settings", ["stride: 40000", "stride: 2147483647 pad: 1", "stride: 40000 dilation: 2"]
)
def test_strides_at_which_onednn_crashes(settings: str, tmp_path: Path) -> None:
    """One window, or one at each end: only what it sees counts."""
    ones = "weight_filler { type: 'constant' value: 1 }"
    net = made(
        tmp_path, "force_backward: true " + convolution(f"num_output: 1 kernel_size: 3 {settings} {ones}")
    )
    net.blobs["x"].data[...] = 1
    net.forward()
    seen = 4 if "pad" in settings else 9
    assert net.blobs["y"].data.tolist() == [[[[2 * seen]]]]
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert net.blobs["x"].diff.sum() == 2 * seen


@pytest.mark.parametrize("numbers", [2**60, 2**62])
def test_memory_that_the_machine_refuses(
    numbers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporaries that nobody counted."""
    net = made(tmp_path, of_image("ReLU"))

    def exhausted(*arguments: object) -> None:
        torch.empty(numbers)

    monkeypatch.setattr(net.layers[-1], "forward", exhausted)
    with pytest.raises(
        InputError, match=r"layer bad \(ReLU\): needs more memory than there is .*GB are free"
    ):
        net.forward()

    def faulty(*arguments: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(net.layers[-1], "forward", faulty)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        net.forward()


def test_ulimit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
    monkeypatch.setattr("resource.getrlimit", lambda which: (used + 10**8, -1))
    available = memory_limit.available_bytes()
    assert available is not None
    assert available < 2 * 10**8


# Weights

TRAINED = source("dim: 1 dim: 2") + layer(
    "InnerProduct", "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } }", name="ip"
)


def weights(*, shape: tuple[int, ...] = (3, 2), diffs: int = 6, numbers: int = 6) -> pb.NetParameter:
    """For TRAINED; the second blob is what is damaged, the first is sound and changes all numbers."""
    net = pb.NetParameter(name="damaged")
    made = net.layer.add(name="ip", type="InnerProduct", blobs=[array_blob(np.full((3, 2), 7.0, np.float32))])
    made.blobs.add(shape=pb.BlobShape(dim=shape), data=[1.0] * numbers, diff=[1.0] * diffs)
    return net


@pytest.mark.parametrize(
    ("damaged", "complaint"),
    [
        (
            weights(shape=(3,), numbers=3, diffs=2),
            r"layer ip \(InnerProduct\): its parameter 1 .* a gradient of 2",
        ),
        (
            weights(shape=(3,), numbers=2, diffs=0),
            r"layer ip \(InnerProduct\): its parameter 1 has 3 numbers, but .* 2",
        ),
        (weights(shape=(4,), numbers=4), r"layer ip \(InnerProduct\): its parameter 1 is 3, but .* it is 4"),
        (weights(shape=(-3,)), "parameter 1 of layer ip has the shape -3: no length may be negative"),
        (
            weights(shape=(2**40, 2**40)),
            "parameter 1 of layer ip has the shape 1099511627776 × 1099511627776",
        ),
        (weights(shape=(1,) * 33), "parameter 1 of layer ip has 33 axes"),
    ],
)
def test_weights_are_taken_whole_or_not(damaged: pb.NetParameter, complaint: str, tmp_path: Path) -> None:
    net = made(tmp_path, TRAINED)
    before = [blob.data.copy() for blob in net.params["ip"]]
    (tmp_path / "bad.caffemodel").write_bytes(damaged.SerializeToString())
    with pytest.raises(InputError, match=complaint):
        net.copy_from(tmp_path / "bad.caffemodel")
    for blob, array in zip(net.params["ip"], before, strict=True):
        assert np.array_equal(blob.data, array)


def test_a_damaged_hdf5_is_taken_whole_or_not(tmp_path: Path) -> None:
    """The second data set's chunk is not what was compressed; the first is sound."""
    net = made(tmp_path, TRAINED)
    before = net.params["ip"][0].data.copy()
    path = tmp_path / "bad.caffemodel.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("data/ip")
        group["0"] = np.full((3, 2), 7, np.float32)
        group.create_dataset("1", data=np.full(3, 5, np.float32), chunks=(3,), fletcher32=True)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<fff", 5, 5, 5), struct.pack("<fff", 5, 6, 5)))
    with pytest.raises(
        InputError, match=r"bad\.caffemodel\.h5 is not an HDF5 file, or damaged \(.*read data"
    ):
        net.copy_from(path)
    assert np.array_equal(net.params["ip"][0].data, before)


@pytest.mark.parametrize("names", [("",), ("a", "a/0"), ("a/0", "a"), ("same", "same")])
def test_names_that_hdf5_does_not_take(names: tuple[str, ...], tmp_path: Path) -> None:
    learned = "inner_product_param { num_output: 2 }"
    layers = [layer("InnerProduct", learned, tops=f"y{index}", name=name) for index, name in enumerate(names)]
    net = made(tmp_path, source("dim: 1 dim: 2") + "".join(layers))
    with pytest.raises(InputError, match=r"layer '.*' \(InnerProduct\): cannot be saved to HDF5"):
        net.save_hdf5(tmp_path / "saved.h5")
    assert not (tmp_path / "saved.h5").exists()


def test_layers_of_names_in_names(tmp_path: Path) -> None:
    """Real Caffe writes this, and then takes the inner layer for a parameter of the outer one."""
    learned = "inner_product_param { num_output: 2 weight_filler { type: 'xavier' } }"
    layers = [layer("InnerProduct", learned, tops=name, name=name) for name in ("fc", "fc/inner")]
    net = made(tmp_path, source("dim: 1 dim: 2") + "".join(layers))
    net.save_hdf5(tmp_path / "saved.caffemodel.h5")
    before = [blob.data.copy() for blobs in net.params.values() for blob in blobs]
    for blob in (blob for blobs in net.params.values() for blob in blobs):
        blob.data[...] = 9
    net.copy_from(tmp_path / "saved.caffemodel.h5")
    after = [blob.data for blobs in net.params.values() for blob in blobs]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


# Solvers

SOLVER = "net: 'net.prototxt' base_lr: 1 lr_policy: 'fixed' max_iter: 2 "
LEARNING = TRAINED + layer("Reduction", "loss_weight: 1", "y", "loss", name="loss")


def solver(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Solver:
    monkeypatch.chdir(folder)
    (folder / "net.prototxt").write_text(LEARNING)
    (folder / "solver.prototxt").write_text(text)
    return get_solver("solver.prototxt")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SOLVER + "test_iter: 0 test_interval: 1", "test_iter of test net 0 must be at least 1, not 0"),
        (SOLVER + "iter_size: 0", "iter_size must be at least 1, not 0"),
        (SOLVER + "average_loss: -5", "average_loss must be at least 1, not -5"),
        (SOLVER + "type: 'Best'", "solver type 'Best' is unknown"),
        (
            f"net: '{'n' * 5000}' base_lr: 1 lr_policy: 'fixed'",
            r"names the net n+ \.\.\. n+.*which is not there",
        ),
        (SOLVER + "base_lr: 2", "base_lr is given twice"),
    ],
)
def test_solvers(text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=complaint):
        solver(tmp_path, text, monkeypatch)


def test_what_a_solver_remembers_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """9 numbers to learn, a gradient and 2 histories for each."""
    monkeypatch.setattr(memory_limit, "available_bytes", lambda: 4 * 9 * 3 - 1)
    with pytest.raises(InputError, match=r"solver\.prototxt: 9 numbers are to be learned: the net takes"):
        solver(tmp_path, SOLVER + "type: 'Adam'", monkeypatch)


def test_an_update_beyond_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = solver(tmp_path, SOLVER, monkeypatch)

    def exhausted(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(training._updater, "apply", exhausted)
    with pytest.raises(EngineError, match="the update of iteration 0 needs more memory than there is"):
        training.step(1)


def test_large_numbers_of_adam_are_infinite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = solver(tmp_path, SOLVER + "type: 'Adam' momentum: 9 momentum2: 1e30", monkeypatch)
    training.iter = 2000
    training.step(1)
    assert training.iter == 2001


@pytest.mark.parametrize("iterations", [1, 2**40])
def test_more_iterations_than_an_int_counts(
    iterations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = solver(tmp_path, SOLVER, monkeypatch)
    training.iter = INT
    with pytest.raises(InputError, match="Caffe counts up to 2,147,483,647"):
        training.step(iterations)


@pytest.mark.parametrize("learned_net", ["gone.caffemodel", "n" * 5000, "a\0b", "net.prototxt", "."])
def test_a_state_whose_weights_are_none(
    learned_net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = solver(tmp_path, SOLVER, monkeypatch)
    history = [array_blob(np.ones(blob.shape, np.float32)) for blob in training._updater.history]
    state = pb.SolverState(iter=5, learned_net=learned_net, history=history)
    (tmp_path / "bad.solverstate").write_bytes(state.SerializeToString())
    with pytest.raises(InputError, match=r"which are not there|is text, a prototxt perhaps|is a folder"):
        training.restore("bad.solverstate")
    assert training.iter == 0
    assert not any(blob.data.any() for blob in training._updater.history)
