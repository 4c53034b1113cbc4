"""A map over threads that keeps the order and holds only a few results at a time."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

AHEAD = 8  # results a worker may be ahead of the consumer; bounds the memory


def default_workers() -> int:
    """A thread for each core that this process may use."""
    return len(os.sched_getaffinity(0))


def ordered_map(
    function: Callable[[In], Out], items: Iterable[In], workers: int
) -> Generator[Out, None, None]:
    """Yield function(item) for each item, in the order of the items, whatever the number of threads.

    Threads suffice because OpenCV releases Python's lock while it decodes, scales and encodes. An exception
    of `function` is raised at its item's place. Close the iterator to give up early.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="image")
    waiting: deque[Future[Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
