"""Work of many threads, given out in order, of which never more than so many bytes wait."""

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

Out = TypeVar("Out")

WAITING_BYTES = 32 * 2**20  # of results that wait for those before them, or for the disk
INPUT_BYTES = 48 * 2**20  # of files that are being worked on
WAITING_RESULTS = 4096


@dataclass(frozen=True)
class Work(Generic[Out]):
    """What is to be done with each of the numbers from 0 to `count` - 1, and how large things are.

    `do` is called from many threads. Both sizes are in bytes: what it will hold while it works, and what it made.
    """

    count: int
    do: Callable[[int], Out]
    input_bytes: Callable[[int], int]
    result_bytes: Callable[[Out], int]


def in_order(work: Work[Out], workers: int) -> Generator[Out, None, None]:
    """Yield do(0), do(1), ... An exception is raised at its place. Close the iterator to give up early.

    Numbers are begun in order, so the one that is waited for is never kept from ending by what waits behind it.
    """
    state = _State(work)
    threads = [threading.Thread(target=state.work_on, name=f"image-{number}") for number in range(workers)]
    try:
        for thread in threads:
            thread.start()
        for number in range(work.count):
            yield state.result(number)
    finally:
        state.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


class _State(Generic[Out]):
    """What the threads share."""

    def __init__(self, work: Work[Out]) -> None:
        self._work = work
        lock = threading.Lock()
        self._room = threading.Condition(lock)  # workers wait for it before they begin
        self._drained = threading.Condition(lock)  # ... and for it before they read a file
        self._ready = threading.Condition(lock)  # who asks for results waits for it
        self._begun = self._given = 0
        self._results: dict[int, tuple[Out | None, BaseException | None, int]] = {}
        self._waiting_bytes = self._input_bytes = 0
        self._stopped = False

    def work_on(self) -> None:
        """What each thread does until nothing is left."""
        while (number := self._begin()) is not None:
            result: Out | None = None
            failure: BaseException | None = None
            input_bytes = size = 0
            try:
                input_bytes = self._take_input(self._work.input_bytes(number))
                result = self._work.do(number)
                size = self._work.result_bytes(result)
            except BaseException as error:  # it belongs to who asks for the result
                failure = error
            with self._ready:
                self._input_bytes -= input_bytes
                self._waiting_bytes += size
                self._results[number] = (result, failure, size)
                self._drained.notify_all()
                if number == self._given:
                    self._ready.notify()

    def result(self, number: int) -> Out:
        """Wait for a result; they are asked for in order."""
        with self._ready:
            while number not in self._results:
                self._ready.wait()
            result, failure, size = self._results.pop(number)
            self._waiting_bytes -= size
            self._given = number + 1
            self._room.notify()
        if failure is not None:
            raise failure
        return result  # type: ignore[return-value]  # there is one where there is no failure

    def stop(self) -> None:
        """Let no thread begin anything more."""
        with self._room:
            self._stopped = True
            self._room.notify_all()
            self._drained.notify_all()

    def _begin(self) -> int | None:
        """Wait until the next number may be begun. None: nothing is left."""
        with self._room:
            while not self._stopped and self._begun < self._work.count:
                # Where all that was begun is done and gone, there is room in any case.
                if self._begun == self._given or (
                    self._waiting_bytes < WAITING_BYTES and self._begun - self._given < WAITING_RESULTS
                ):
                    number = self._begun
                    self._begun += 1
                    self._room.notify()  # for another one there may be room, too
                    return number
                self._room.wait()
            self._room.notify_all()
            return None

    def _take_input(self, wanted: int) -> int:
        """Wait until so many bytes may be held; what is more than all of them, until nobody else holds any."""
        with self._drained:
            while not self._stopped and self._input_bytes and self._input_bytes + wanted > INPUT_BYTES:
                self._drained.wait()
            self._input_bytes += wanted
        return wanted
