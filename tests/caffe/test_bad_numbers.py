"""Sound nets, of which what a program puts in, or the machine's memory, is not."""

import contextlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from batchbrew.caffe import memory_limit
from batchbrew.errors import InputError
from batchbrew.nets.shapes.families import LAYER_TYPES
from tests.caffe.written_nets import convolution, layer, made, of_image, source

GIGABYTE = 2**30
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
