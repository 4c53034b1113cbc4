"""Im2col: numbers worked by hand, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from batchbrew.caffe.layers.im2col import Columns
from batchbrew.nets.shapes.windows import Window
from batchbrew.parity.results import Result
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

RANDOM = np.random.default_rng(6)
CASES = {
    "one axis": ((2, 3, 7), "kernel_size: 3 pad: 2 dilation: 2", (2, 9, 7)),
    "two axes": ((2, 3, 5, 4), "kernel_h: 2 kernel_w: 3 stride: 2 pad_h: 1 pad_w: 0", (2, 18, 3, 1)),
    "three axes": ((1, 2, 3, 4, 3), "kernel_size: 2 dilation: [1, 2, 1]", (1, 16, 2, 2, 2)),
    "four axes": ((1, 1, 3, 2, 3, 2), "kernel_size: 2", (1, 16, 2, 1, 2, 1)),
    "two axes of images": ((2, 2, 1, 4, 4), "axis: 2 kernel_size: 3", (2, 2, 9, 2, 2)),
    "larger than the image": ((1, 2, 2, 5), "kernel_size: 4 stride: 3", (1, 32, 1, 1)),
}
AGREED = [
    example(
        f"Im2col: {name}",
        layer_case(
            f'type: "Im2col" convolution_param {{ {fields} }}', RANDOM.standard_normal(shape),
            diffs={"y": RANDOM.standard_normal(top)},
        ),
    )
    for name, (shape, fields, top) in CASES.items()
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_by_hand(tmp_path: Path) -> None:
    """A channel for each tap; pads are zeros. Backward, each pixel has what its taps brought."""
    case = layer_case(
        'type: "Im2col" convolution_param { kernel_size: 2 pad: 1 }', [[[3, 5]]],
        diffs={"y": [[[1, 10, 100], [2, 20, 200]]]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == [[[0, 3, 5], [3, 5, 0]]]
    assert found["0|diff|x0"].tolist() == [[[10 + 2, 100 + 20]]]


def test_the_adjoint_is_one() -> None:
    """<A x, c> = <x, Aᵀ c> for windows with everything at once."""
    generator = torch.Generator().manual_seed(1)
    columns = Columns([Window(3, 2, 4, 2), Window(2, 3, 0, 5)], (6, 3), (8, 7))
    x = torch.randn(2, 3, 8, 7, generator=generator, dtype=torch.float64)
    laid_out = columns.of(x)
    c = torch.randn(laid_out.shape, generator=generator, dtype=torch.float64)
    assert torch.isclose((laid_out * c).sum(), (x * columns.adjoint(c)).sum())
