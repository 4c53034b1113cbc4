"""A gradient that is the product of two matrices, of which any rows can be had without the others."""

from collections.abc import Iterator

from torch import Tensor

from batchbrew.caffe.layers.products import times_transposed

ROWS_BYTES = 2**24  # of what is computed at once, if not all is: the processor's caches hold it
ROWS_BYTES_ON_GPU = 2**30  # there it is a matter of memory alone
ALIGNED_ROWS = 64  # a multiple of these is fast


class Product:
    """leftᵀ·right, float32: M×K from N×M and N×K numbers of one type. Calling it computes all of it."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self._left, self._right = left, right
        self.shape = (left.shape[1], right.shape[1])

    def __call__(self) -> Tensor:
        """M×K numbers."""
        return times_transposed(self._left.T, self._right.T).float()

    def parts(self) -> Iterator[tuple[slice, Tensor]]:
        """Some rows after others: which they are, and their numbers."""
        rows, columns = self.shape
        wanted = (ROWS_BYTES_ON_GPU if self._left.is_cuda else ROWS_BYTES) // (4 * columns)
        step = wanted // ALIGNED_ROWS * ALIGNED_ROWS or max(1, wanted)
        for start in range(0, rows, step):
            part = slice(start, min(rows, start + step))
            yield part, times_transposed(self._left[:, part].T, self._right.T).float()
