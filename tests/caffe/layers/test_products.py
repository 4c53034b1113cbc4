"""Products of an InnerProduct: by hand, and against float64, on both ways."""

import pytest
import torch

from batchbrew.caffe.layers import products
from batchbrew.caffe.layers.products import times_transposed

LARGE = (8, 700, 512)  # rows, inputs, outputs: enough weights for oneDNN
SHAPES = [(2, 3, 4), (1, 700, 512), LARGE, (5, 512, 1000), (300, 40, 1000)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Which way each product goes."""
    seen = []
    choose = products._is_for_onednn

    def chosen(left: torch.Tensor, right: torch.Tensor) -> bool:
        seen.append(choose(left, right))
        return seen[-1]

    monkeypatch.setattr(products, "_is_for_onednn", chosen)
    return seen


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_by_hand() -> None:
    assert times_transposed(torch.tensor([[1.0, 2]]), torch.tensor([[3.0, 4], [5, 6]])).tolist() == [[11, 17]]


def test_by_hand_on_the_fast_way(calls: list[bool]) -> None:
    """Rows of ones and of column numbers: exact in float32."""
    left = torch.stack([torch.ones(512), torch.arange(512.0)] * 2)
    right = torch.eye(512)
    assert torch.equal(times_transposed(left, right), left)
    assert torch.equal(times_transposed(right, left), left.T)
    assert calls == [True, True]


@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
@pytest.mark.parametrize("transposed", [False, True], ids=["as stored", "stored transposed"])
def test_the_three_products(
    rows: int, inputs: int, outputs: int, transposed: bool, calls: list[bool]
) -> None:
    x, gradient = _random(rows, inputs), _random(rows, outputs)
    weights = _random(inputs, outputs).T if transposed else _random(outputs, inputs)
    before = [each.clone() for each in (x, gradient, weights)]
    pairs = [(x, weights), (gradient, weights.T), (gradient.T, x.T)]
    for left, right in pairs:
        exact = left.double() @ right.double().T
        found = times_transposed(left, right)
        assert found.dtype == torch.float32 and found.is_contiguous()
        assert torch.allclose(found.double(), exact, rtol=0, atol=2e-6 * float(exact.abs().max()))
    assert all(torch.equal(one, other) for one, other in zip((x, gradient, weights), before, strict=True))
    assert calls == [rows == 300 or (rows >= products.FEWEST and inputs * outputs >= products.SMALLEST)] * 3


def test_some_rows_of_the_weights() -> None:
    rows, inputs, outputs = LARGE
    x, gradient = _random(rows, inputs), _random(rows, outputs * 2)
    part = slice(100, 100 + outputs)
    found = times_transposed(gradient[:, part].T, x.T)
    assert torch.allclose(found, (gradient.T @ x)[part], rtol=0, atol=1e-4)


def test_twice_the_same() -> None:
    rows, inputs, outputs = LARGE
    x, weights = _random(rows, inputs), _random(outputs, inputs)
    assert torch.equal(times_transposed(x, weights), times_transposed(x, weights))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types_are_left_to_pytorch(dtype: torch.dtype, calls: list[bool]) -> None:
    rows, inputs, outputs = LARGE
    x, weights = _random(rows, inputs).to(dtype), _random(outputs, inputs).to(dtype)
    assert torch.equal(times_transposed(x, weights), x @ weights.T)
    assert calls == [False]


def test_a_build_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    x, weights = _random(8, 700), _random(512, 700)
    assert torch.equal(times_transposed(x, weights), x @ weights.T)
