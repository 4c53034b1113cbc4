"""Batches made ahead, while the net computes."""

import os
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from batchbrew.caffe import mode
from batchbrew.errors import InputError

THREADS_VARIABLE = "BATCHBREW_DATA_THREADS"
MOST_THREADS = (
    8  # as many as decode what the fastest GPU of today trains on; more would wait for Python's lock
)

Batch = TypeVar("Batch", covariant=True)


class BatchSource(Protocol[Batch]):
    """What is read: any batch by its number, from 0, and the same one each time it is asked for."""

    def batch(self, number: int) -> Batch:
        """Make the batch, in any thread. Raises InputError or Refusal."""


class Prefetcher(Generic[Batch]):
    """Makes the next `ahead` batches in `threads` of its own, each in one of them.

    What goes wrong there is raised where the batch is taken. The threads end with this object and with the
    interpreter; after a fork the child gets new ones when it takes a batch.
    """

    def __init__(self, source: BatchSource[Batch], ahead: int, threads: int = 1) -> None:
        self._source = source
        self._ahead = ahead
        self._threads = threads
        self._pending: dict[int, Future[Batch]] = {}
        self._executor: ThreadPoolExecutor | None = None
        self._process = 0
        self._finalizer: weakref.finalize[..., Prefetcher[Batch]] | None = None

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
                self._finalizer.detach()  # of the parent's threads, which a fork does not copy
            self._pending.clear()
            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="batchbrew-data")
            self._process = os.getpid()
            self._finalizer = weakref.finalize(self, self._executor.shutdown, wait=False, cancel_futures=True)
        return self._executor


def data_threads() -> int:
    """In how many threads a data layer makes batches: one for each core, or what BATCHBREW_DATA_THREADS says.

    Several solvers on one machine share its cores. Raises InputError where the variable is no number of threads.
    """
    said = os.environ.get(THREADS_VARIABLE)
    if said is None:
        return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) // _solvers_here()))
    if not said.isdecimal() or not 1 <= int(said) <= 1024:
        raise InputError(f"{THREADS_VARIABLE} is {said!r}: it is a number of threads, 1 to 1024")
    return int(said)


def _solvers_here() -> int:
    """On this machine, if torchrun says so; else in all."""
    said = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(int(said), 1) if said.isdecimal() else mode.solver_count()
