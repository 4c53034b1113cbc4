"""Product: all of it, and some rows after others; and the InnerProduct's gradient that is one."""

import pytest
import torch

from batchbrew.caffe import product
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import make_layer
from batchbrew.caffe.product import Product
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt


def test_by_hand() -> None:
    found = Product(torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[5.0], [6]]))
    assert found.shape == (2, 1)
    assert found().tolist() == [[23], [34]]


@pytest.mark.parametrize("rows_bytes", [1, 40, 100, 2**24])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rows_are_those_of_the_whole(
    rows_bytes: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product, "ROWS_BYTES", rows_bytes)
    generator = torch.Generator().manual_seed(1)
    left, right = (torch.randn(4, n, generator=generator).to(dtype) for n in (7, 5))
    whole = Product(left, right)
    parts = list(whole.parts())
    assert [i for rows, _ in parts for i in range(rows.start, rows.stop)] == list(range(7))
    assert len(parts) == {1: 7, 40: 4, 100: 2}.get(rows_bytes, 1)
    joined = torch.cat([numbers for _, numbers in parts])
    assert joined.dtype == whole().dtype == torch.float32
    torch.testing.assert_close(joined, whole(), rtol=1e-6, atol=1e-2 if dtype == torch.bfloat16 else 1e-6)


@pytest.mark.parametrize("transpose", ["false", "true"])
def test_an_inner_products_gradient_adds_up_and_lasts(transpose: str) -> None:
    made = make_layer(
        parse_prototxt(
            "type: 'InnerProduct' bottom: 'x' top: 'y' "
            f"inner_product_param {{ num_output: 2 transpose: {transpose} bias_term: false }}",
            pb.LayerParameter,
        )
    )
    x, y = Blob(1, 3), Blob(1, 2)
    made.setup([x], [y])
    made.reshape([x], [y])
    made.param_propagate_down = [True]
    x.data[...] = [[1, 2, 3]]
    made.forward([x], [y])
    y.diff[...] = [[10, 1]]
    made.backward([y], [False], [x])
    weights = made.blobs[0]
    assert isinstance(weights.diff_memory.deferred, Product)
    x.data[...], y.diff[...] = 0, 0  # neither is looked at again
    once = torch.tensor([[10.0, 20, 30], [1, 2, 3]])
    expected = once.T if transpose == "true" else once
    assert weights.diff_tensor.tolist() == expected.tolist()
    x.data[...], y.diff[...] = [[1, 2, 3]], [[10, 1]]
    made.backward([y], [False], [x])
    assert weights.diff.tolist() == (2 * expected).tolist()
