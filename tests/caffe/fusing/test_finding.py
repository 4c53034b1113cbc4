"""Which layers are computed at once: those that look so, not those that nearly do; and the numbers are the same."""

from pathlib import Path

import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.caffe import passes
from batchbrew.caffe.fusing.finding import find_units
from batchbrew.caffe.fusing.unit import Unit

INPUT = 'layer { name: "i" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }'
LEARNED = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "x" '
    "convolution_param { num_output: 4 kernel_size: 3 } }"
)
CONVOLUTION = (
    LEARNED.replace('name: "c"', 'name: "d"')
    .replace('bottom: "data"', 'bottom: "y"')
    .replace('top: "x"', 'top: "z"')
)

LOSS = "loss_weight: 1"


def bn(bottom: str, top: str) -> str:
    return f'layer {{ name: "bn" type: "BatchNorm" bottom: "{bottom}" top: "{top}" }}'


def scale(bottom: str, top: str, more: str = "bias_term: true") -> str:
    return f'layer {{ name: "s" type: "Scale" bottom: "{bottom}" top: "{top}" scale_param {{ {more} }} }}'


def on(kind: str, bottom: str, top: str, more: str = "") -> str:
    return f'layer {{ name: "{kind}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}'


IN_PLACE = LEARNED + bn("x", "x") + scale("x", "x") + on("ReLU", "x", "x")
CASES = {
    "in place": (IN_PLACE, [(2, 4)]),
    "not in place": (LEARNED + bn("x", "n") + scale("n", "y") + on("ReLU", "y", "r"), [(2, 4)]),
    "no scale": (LEARNED + bn("x", "n") + on("ReLU", "n", "n"), [(2, 3)]),
    "read between": (LEARNED + bn("x", "n") + scale("n", "y") + on("TanH", "n", "t"), [(2, 2)]),
    "leaky": (LEARNED + bn("x", "n") + on("ReLU", "n", "n", "relu_param { negative_slope: 0.1 }"), [(2, 2)]),
    "other axis": (LEARNED + bn("x", "n") + scale("n", "y", "axis: 0"), [(2, 2)]),
    "dropped in place": (IN_PLACE + on("Dropout", "x", "x"), [(2, 4)]),
    # Caffe's ReLU then looks at what TanH or Sigmoid wrote: it lets all gradients through where that is not 0.
    "written over": (IN_PLACE + on("Sigmoid", "x", "x"), [(2, 3)]),
    "data": (bn("data", "n") + scale("n", "y") + CONVOLUTION + on("Reduction", "z", "l", LOSS), [(1, 3)]),
    "data without a loss": (bn("data", "n") + scale("n", "y") + CONVOLUTION, [(1, 2)]),
}  # fmt: skip


def build(text: str, folder: Path) -> caffe.Net:
    (folder / "net.prototxt").write_text(text)
    caffe.set_random_seed(1)
    return caffe.Net(str(folder / "net.prototxt"), caffe.TRAIN)


@pytest.mark.parametrize("name", CASES)
def test_units(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Unit] = []

    def remember(*of: object) -> list[Unit]:
        found.extend(units := find_units(*of))  # type: ignore[arg-type]
        return units

    monkeypatch.setattr(passes, "find_units", remember)
    text, expected = CASES[name]
    build(INPUT + text, tmp_path)
    assert [(unit.first, unit.last) for unit in found] == expected


@pytest.mark.parametrize("name", [name for name in CASES if "drop" not in name])
def test_the_numbers_are_those_of_one_layer_after_the_other(name: str, tmp_path: Path) -> None:
    found = []
    of_data = name.startswith("data")
    for fuses in (True, False):
        net = build(f"force_backward: {str(not of_data).lower()} {INPUT}{CASES[name][0]}", tmp_path)
        draw = np.random.default_rng(1)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = draw.normal(1, 0.5, blob.shape)
        net.blobs["data"].data[...] = draw.normal(0, 1, net.blobs["data"].shape)
        caffe.set_fusing(fuses)
        try:
            net.forward()
            data = {blob: np.array(net.blobs[blob].data) for blob in net.blobs}
            for top in set(net.outputs) - {"l"}:
                net.blobs[top].diff[...] = draw.normal(0, 1, net.blobs[top].shape)
            net.backward()
        finally:
            caffe.set_fusing(True)
        diffs = {blob: np.array(net.blobs[blob].diff) for blob in net.blobs if not of_data or blob != "data"}
        gradients = {
            (layer, index): np.array(blob.diff)
            for layer, blobs in net.params.items()
            for index, blob in enumerate(blobs)
        }
        found.append((data, diffs, gradients))
    for at_once, one_by_one in zip(*found, strict=True):
        for key, numbers in one_by_one.items():
            largest = max(np.abs(each).max() for each in one_by_one.values())
            np.testing.assert_allclose(
                at_once[key], numbers, rtol=1e-4, atol=1e-5 * largest, err_msg=str(key)
            )
