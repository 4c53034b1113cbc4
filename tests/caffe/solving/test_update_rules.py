"""SGD in one pass over memory, against its rule written out in float64; and the updates around it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchbrew import caffe
from batchbrew.caffe.solving.update_rules import SGD, UpdateRule
from batchbrew.proto import caffe_pb2 as pb

SHAPES = [(4, 3, 3, 2), (5, 6), (7,), (2, 3, 1, 1)]


def drawn(seed: int, layout: torch.memory_format = torch.contiguous_format) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(shape, generator=generator) for shape in SHAPES]
    return [each.contiguous(memory_format=layout) if each.dim() == 4 else each for each in tensors]


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tensors each fused call took."""
    calls: list[int] = []
    real = torch._fused_sgd_

    def counted(weights: list[Tensor], *others: Any, **how: Any) -> None:
        calls.append(len(weights))
        real(weights, *others, **how)

    monkeypatch.setattr(torch, "_fused_sgd_", counted)
    return calls


@pytest.mark.parametrize("rate", [0.1, 1e-3, 1e-7, 0, 1, 20])
@pytest.mark.parametrize("momentum", [0, 0.5, 0.9])
@pytest.mark.parametrize("decay", [0, 5e-4])
@pytest.mark.parametrize("layouts", ["plain", "channels last", "mixed"])
def test_the_rule(rate: float, momentum: float, decay: float, layouts: str, fused: list[int]) -> None:
    plain, last = torch.contiguous_format, torch.channels_last
    like = {"plain": [plain] * 3, "channels last": [last] * 3, "mixed": [last, plain, last]}[layouts]
    weights, gradients, history = (drawn(seed, each) for seed, each in enumerate(like))
    exact = [
        (w.double(), g.double(), v.double()) for w, g, v in zip(weights, gradients, history, strict=True)
    ]
    updates = SGD(pb.SolverParameter(momentum=momentum)).change(weights, gradients, [history], decay, rate, 0)
    for (w, g, v), weight, remembered, update in zip(exact, weights, history, updates, strict=True):
        new = momentum * v + rate * (g + decay * w)
        for found, expected in ((remembered, new), (update, new), (weight, w - new)):
            size = expected.abs().max().item()
            torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-7 * max(size, rate))
    assert fused == ([len(SHAPES)] if momentum and layouts != "mixed" else [])


def test_a_small_rate_loses_no_digits(fused: list[int]) -> None:
    """1 - (1 - rate) has none left in float32."""
    history = [torch.zeros(3)]
    SGD(pb.SolverParameter(momentum=0.9)).change([torch.zeros(3)], [torch.ones(3)], [history], 0, 1.7e-8, 0)
    np.testing.assert_allclose(history[0].numpy(), 1.7e-8, rtol=1e-6)
    assert fused == [1]


NET = """
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param { shape { dim: 4 dim: 3 dim: 5 dim: 5 }
  shape { dim: 4 dim: 2 } data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "c" type: "Convolution" bottom: "d" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" param { lr_mult: 2 decay_mult: 0 } param { lr_mult: 0 }
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "l" top: "loss" }
"""


def train(folder: Path, momentum: float, keep: bool | None, view: bool) -> list[NDArray[np.float32]]:
    (folder / "net").write_text(NET)
    (folder / "solver").write_text(
        f'net: "{folder}/net" base_lr: 0.05 lr_policy: "step" gamma: 0 stepsize: 3 momentum: {momentum} '
        f'weight_decay: 0.01 random_seed: 2 max_iter: 9 snapshot_prefix: "{folder}/s"'
    )
    solver = caffe.get_solver(folder / "solver")
    solver.keep_blobs = keep
    blobs = [blob for each in solver.net.params.values() for blob in each]
    views = [blob.data for blob in blobs] if view else []
    before = [array.copy() for array in views]
    solver.step(5)  # in the last two at rate 0
    assert all(np.shares_memory(array, blob.data) for array, blob in zip(views, blobs, strict=False))
    assert all(
        (old == array).all() == (i == 3) for i, (old, array) in enumerate(zip(before, views, strict=True))
    )
    return [blob.data.copy() for blob in [*blobs, *solver._updater.history]]


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_trainings_are_the_same_however_weights_lie(
    momentum: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [train(tmp_path, momentum, keep, view) for keep in (None, True, False) for view in (False, True)]
    monkeypatch.setattr(SGD, "change", UpdateRule.change)
    for each in found:
        for one, other in zip(each, train(tmp_path, momentum, True, False), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * max(np.abs(other).max(), 1e-3))
