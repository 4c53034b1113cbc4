"""Matrix products of few rows by many: those of an InnerProduct.

PyTorch gives float32 products on the CPU to MKL. oneDNN, that computes its convolutions, needs a quarter to a half
less time for them where one side is large (two cores with AVX-512: rows 4 to 256, weights from 1 MB to 400 MB).
"""

import torch
from torch import Tensor

FEWEST = 4  # of rows, columns and addends: with fewer it is a matter of reading the larger matrix, which MKL does well
SMALLEST = (
    1 << 18
)  # numbers of the largest matrix: below that oneDNN's preparations take longer than the product


def times_transposed(left: Tensor, right: Tensor) -> Tensor:
    """left·rightᵀ: M×K by N×K, each laid out by rows or by columns.

    With x, W and the gradient dy of an InnerProduct: y = x·Wᵀ is (x, W), dx is (dy, W.T), dW is (dy.T, x.T).
    """
    if not _is_for_onednn(left, right):
        return left @ right.T
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return product


def _is_for_onednn(left: Tensor, right: Tensor) -> bool:
    (rows, addends), columns = left.shape, len(right)
    return (
        left.device.type == "cpu"
        and left.dtype == right.dtype == torch.float32  # other types go to oneDNN anyway
        and min(rows, addends, columns) >= FEWEST
        and max(rows * addends, columns * addends, rows * columns) >= SMALLEST
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # not in each build of PyTorch
    )
