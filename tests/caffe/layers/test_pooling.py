"""Pooling: Caffe's rounding, clipping, divisors and ties by hand, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from batchbrew.caffe import mode
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers import window_pooling
from batchbrew.caffe.layers.window_pooling import Grid, Pool, make_pool
from batchbrew.nets.shapes.windows import Window
from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

RANDOM = np.random.default_rng(7)
MAX, AVE, STOCHASTIC = pb.PoolingParameter.MAX, pb.PoolingParameter.AVE, pb.PoolingParameter.STOCHASTIC


def pooling(
    fields: str, shape: tuple[int, int, int, int], top: tuple[int, int], tops: int = 1, backward: bool = True
) -> Case:
    x = RANDOM.integers(-5, 3, shape)  # negative ones and ties
    return layer_case(
        f'type: "Pooling" pooling_param {{ {fields} }}', x, tops=["y", "mask"][:tops],
        diffs={"y": RANDOM.standard_normal((*shape[:2], *top))} if backward else {}, backward=backward,
    )  # fmt: skip


WINDOWS = {
    "rounded up": ("kernel_size: 3 stride: 2", (6, 8), (3, 4)),
    "clipped": ("kernel_size: 2 stride: 2 pad: 1", (5, 6), (3, 4)),
    "padded by more than half": ("kernel_size: 3 stride: 2 pad: 2", (6, 5), (4, 4)),
    "padded by more than half, and clipped": ("kernel_size: 5 stride: 4 pad: 3", (6, 10), (3, 4)),
    "sides": ("kernel_h: 1 kernel_w: 4 stride_h: 2 stride_w: 3 pad_h: 0 pad_w: 3", (5, 6), (3, 3)),
    "larger than the image": ("kernel_size: 7 stride: 4", (5, 4), (1, 1)),
    "rounded down": ("kernel_size: 3 stride: 2 round_mode: FLOOR", (6, 8), (2, 3)),
    "global": ("global_pooling: true", (4, 3), (1, 1)),
}
BEYOND = {
    "beyond the image": ("kernel_size: 1 stride: 4", (3, 6), (2, 3)),
    "at its end": ("kernel_size: 1 stride: 3", (3, 4), (2, 2)),
}
AGREED = [
    *(
        example(f"Pooling {method}: {name}", pooling(f"pool: {method} {fields}", (2, 3, *size), top))
        for name, (fields, size, top) in WINDOWS.items() for method in ("MAX", "AVE")
    ),
    *(
        example(f"Pooling with mask: {name}", pooling(fields, (2, 3, *size), top, 2))
        for name, (fields, size, top) in WINDOWS.items()
    ),
    # Caffe's backward pass writes beside its blob
    *(
        example(f"Pooling {fields}: {name}", pooling(f"{fields} {windows}", (1, 2, *size), top, tops, False))
        for name, (windows, size, top) in BEYOND.items() for fields, tops in (("pool: MAX", 2), ("pool: AVE", 1))
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def row(
    fields: str, numbers: list[float], diffs: list[float], folder: Path, tops: int = 1
) -> dict[str, list[float]]:
    """Pool a row of pixels; `kernel_h` and the like of 1 are given."""
    case = layer_case(
        f'type: "Pooling" pooling_param {{ kernel_h: 1 stride_h: 1 pad_h: 0 {fields} }}',
        np.reshape(numbers, (1, 1, 1, -1)), tops=["y", "mask"][:tops], diffs={"y": np.reshape(diffs, (1, 1, 1, -1))},
    )  # fmt: skip
    return {key: array.ravel().tolist() for key, array in compute(case, folder / "case").items()}


def test_the_last_window_is_clipped_to_the_image(tmp_path: Path) -> None:
    """Five pixels by threes and twos: the third window has one pixel."""
    found = row("pool: AVE kernel_w: 2 stride_w: 2 pad_w: 0", [1, 2, 3, 4, 5], [2, 20, 200], tmp_path)
    assert found["0|data|y"] == [1.5, 3.5, 5]
    assert found["0|diff|x0"] == [1, 1, 10, 10, 200]


def test_ave_counts_the_pad_but_not_what_is_beyond(tmp_path: Path) -> None:
    """Windows of 3, of which the first has a pixel of pad, and the last, of two places, one."""
    found = row("pool: AVE kernel_w: 3 stride_w: 2 pad_w: 1", [3, 6, 9, 12], [3, 3, 4], tmp_path)
    assert found["0|data|y"] == [3, 9, 6]
    assert found["0|diff|x0"] == [1, 2, 1, 3]


@pytest.mark.parametrize("pad", [1, 2])
def test_max_never_takes_the_pad(pad: int, tmp_path: Path) -> None:
    """By PyTorch's kernel with one pixel of pad, by columns with two."""
    found = row(f"kernel_w: 3 stride_w: 3 pad_w: {pad}", [-4, -2, -3], [1, 10], tmp_path, 2)
    assert found["0|data|y"] == ([-2, -3] if pad == 1 else [-4, -2])
    assert found["0|data|mask"] == ([1, 2] if pad == 1 else [0, 1])
    assert found["0|diff|x0"] == ([0, 1, 10] if pad == 1 else [1, 10, 0])


@pytest.mark.parametrize("pad", [0, 2])
def test_of_equals_the_first_gets_the_gradient(pad: int) -> None:
    x = torch.zeros(1, 1, 3, 3)
    windows = [Window(3, 3, pad, 1)] * 2
    grid = Grid(windows, (1, 1) if pad == 0 else (2, 2), (3, 3))
    pool = make_pool(MAX, grid, 1, pb.TRAIN)
    y, indices = pool.forward(x)
    assert indices is not None
    assert indices.flatten().tolist() == ([0] if pad == 0 else [0, 1, 3, 4])
    back = pool.backward(torch.ones_like(y), x, indices)
    assert back.flatten().tolist() == (
        [1, 0, 0, 0, 0, 0, 0, 0, 0] if pad == 0 else [1, 1, 0, 1, 1, 0, 0, 0, 0]
    )


def test_overlapping_windows_add_up(tmp_path: Path) -> None:
    found = row("kernel_w: 2 stride_w: 1 pad_w: 0", [1, 7, 2], [3, 40], tmp_path)
    assert (found["0|data|y"], found["0|diff|x0"]) == ([7, 7], [0, 43, 0])


def test_a_window_without_pixels_has_no_gradient(tmp_path: Path) -> None:
    found = row("kernel_w: 1 stride_w: 3 pad_w: 0", [5, 6, 7], [1, 10], tmp_path, 2)
    assert found["0|data|y"] == [5, np.finfo(np.float32).min]
    assert found["0|data|mask"] == [0, -1]
    assert found["0|diff|x0"] == [1, 0, 0]


def test_what_pytorch_has_no_windows_for_is_what_it_has_otherwise() -> None:
    """The two ways to compute, on windows that both can."""
    x, grid = torch.randn(2, 3, 7, 8), Grid([Window(3, 2, 1, 1), Window(2, 2, 0, 1)], (4, 4), (7, 8))
    how = grid.native()
    assert how is not None
    gradient = torch.randn(2, 3, 4, 4)
    pairs: list[tuple[Pool, Pool]] = [
        (window_pooling.NativeMaximum(how), window_pooling.Maximum(grid.columns(6))),
        (window_pooling.NativeMean(how), window_pooling.Mean(grid.columns(6), window_pooling.divisors(grid))),
    ]
    for native, other in pairs:
        (y, at), (again, there) = native.forward(x), other.forward(x)
        torch.testing.assert_close(y, again)
        assert at is None or (there is not None and torch.equal(at, there))
        torch.testing.assert_close(native.backward(gradient, x, at), other.backward(gradient, x, there))


def test_not_a_number_is_not_passed_over(tmp_path: Path) -> None:
    """Unlike Caffe's, which compares with it and goes on: a net that diverged should say so."""
    found = row("kernel_w: 2 stride_w: 2 pad_w: 0", [1, np.nan, 3, 4], [0, 0], tmp_path)
    assert np.isnan(found["0|data|y"][0]) and found["0|data|y"][1] == 4


def stochastic(x: Array, phase: int, folder: Path) -> dict[str, Array]:
    fields = "pool: STOCHASTIC kernel_size: 2 stride: 2"
    case = layer_case(
        f'type: "Pooling" pooling_param {{ {fields} }}', x, phase=phase, backward=phase == pb.TRAIN,
        diffs={"y": np.ones((len(x), 1, 1, 1))} if phase == pb.TRAIN else {},
    )  # fmt: skip
    return compute(case, folder / "case")


def test_stochastic_pooling_takes_pixels_by_their_value(tmp_path: Path) -> None:
    """1, 3 and 4 of 8, 0 never; the gradient goes to the one that was taken."""
    mode.set_random_seed(3)
    x = np.tile(np.reshape([1, 0, 3, 4], (1, 1, 2, 2)), (4000, 1, 1, 1)).astype(np.float32)
    found = stochastic(x, pb.TRAIN, tmp_path)
    taken = found["0|data|y"].ravel()
    shares = [(taken == value).mean() for value in (1, 3, 4)]
    assert shares == pytest.approx([1 / 8, 3 / 8, 4 / 8], abs=0.04)
    assert ((found["0|diff|x0"] * x).sum((1, 2, 3)) == taken).all() and (
        found["0|diff|x0"].sum((1, 2, 3)) == 1
    ).all()


def test_stochastic_pooling_of_a_test_is_a_weighted_mean(tmp_path: Path) -> None:
    x = np.array([[1, 0, 3, 4], [0, 0, 0, 0]], np.float32).reshape(2, 1, 2, 2)
    assert stochastic(x, pb.TEST, tmp_path)["0|data|y"].ravel().tolist() == [26 / 8, 0]


def test_stochastic_pooling_of_a_test_has_no_gradient(tmp_path: Path) -> None:
    case = layer_case(
        'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 1 }', [[[[1]]]], phase=pb.TEST
    )
    with pytest.raises(
        LayerError, match=r"layer tested \(Pooling\): has no gradient with pool: STOCHASTIC in phase TEST"
    ):
        compute(case, tmp_path / "case")


def test_a_stride_beyond_pytorchs(tmp_path: Path) -> None:
    fields = f"kernel_w: 3 stride_w: {2**31} pad_w: 0"
    found = row(fields, [1, 3, 2], [5], tmp_path)
    assert (found["0|data|y"], found["0|diff|x0"]) == ([3], [0, 5, 0])


def test_windows_as_columns_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    case = layer_case(
        'type: "Pooling" pooling_param { kernel_size: 4000000000 stride: 4000000000 }', np.ones((1, 1, 3, 3))
    )
    with pytest.raises(LayerError, match=r"layer tested \(Pooling\): .*GB"):
        compute(case, tmp_path / "case")
