"""Batches made ahead, while the net computes."""

import os
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Batch = Sequence[NDArray[np.float32]]  # an array for each top


class BatchSource(Protocol):
    """What a data layer reads: any batch by its number, from 0, and the same one each time it is asked for."""

    def batch(self, number: int) -> Batch:
        """Make the batch. Raises InputError or Refusal."""


class Prefetcher:
    """Makes the next batches in a thread of its own.

    What goes wrong there is raised where the batch is taken. The thread ends with this object and with the
    interpreter; after a fork the child gets a new one when it takes a batch.
    """

    def __init__(self, source: BatchSource, ahead: int) -> None:
        self._source = source
        self._ahead = ahead
        self._pending: dict[int, Future[Batch]] = {}
        self._executor: ThreadPoolExecutor | None = None
        self._process = 0
        self._finalizer: weakref.finalize[..., Prefetcher] | None = None

    def batch(self, number: int) -> Batch:
        """Batch `number`, and begin with those that follow it."""
        if not self._ahead:
            return self._source.batch(number)
        executor = self._running()
        wanted = range(number, number + 1 + self._ahead)
        for other in [pending for pending in self._pending if pending not in wanted]:
            self._pending.pop(other).cancel()
        for each in wanted:
            if each not in self._pending:
                self._pending[each] = executor.submit(self._source.batch, each)
        return self._pending.pop(number).result()

    def forget(self) -> None:
        """Drop what was made ahead: the source gives other batches now."""
        for future in self._pending.values():
            future.cancel()
        self._pending.clear()

    def _running(self) -> ThreadPoolExecutor:
        if self._executor is None or self._process != os.getpid():
            if self._finalizer is not None:
                self._finalizer.detach()  # of the parent's thread, which a fork does not copy
            self._pending.clear()
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="batchbrew-data")
            self._process = os.getpid()
            self._finalizer = weakref.finalize(self, self._executor.shutdown, wait=False, cancel_futures=True)
        return self._executor
