"""Batches made ahead: in order, never too many, with their errors, and ending with their owner."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe.data.prefetch import Prefetcher, data_threads
from batchbrew.errors import InputError

Batch = list[NDArray[np.float32]]


class Numbers:
    """Batch n is the number n; `made` tells which were made."""

    def __init__(self, damaged: int | None = None) -> None:
        self.made: list[int] = []
        self.damaged = damaged
        self.offset = 0

    def batch(self, number: int) -> Batch:
        self.made.append(number)
        if number == self.damaged:
            raise InputError(f"batch {number} is damaged")
        return [np.array([number + self.offset], np.float32)]


def value(prefetcher: Prefetcher[Batch], number: int) -> int:
    return int(prefetcher.batch(number)[0][0])


def until(condition: Callable[[], object], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


def threads() -> int:
    return sum(thread.name.startswith("batchbrew-data") for thread in threading.enumerate())


def end_those_of_other_tests() -> None:
    gc.collect()  # nets are in cycles
    assert until(lambda: not threads())


@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
def test_batches_come_in_order_and_each_is_made_once(ahead: int) -> None:
    numbers = Numbers()
    prefetcher = Prefetcher(numbers, ahead)
    assert [value(prefetcher, number) for number in range(20)] == list(range(20))
    assert until(lambda: len(numbers.made) == 20 + ahead)
    assert numbers.made == list(range(20 + ahead))


def test_any_batch_can_be_asked_for() -> None:
    prefetcher = Prefetcher(Numbers(), 2)
    for number in (0, 1, 50, 51, 3, 3, 0, 2**50):
        assert value(prefetcher, number) == number


def test_what_was_made_of_an_older_order_is_forgotten() -> None:
    numbers = Numbers()
    prefetcher = Prefetcher(numbers, 3)
    assert value(prefetcher, 0) == 0
    numbers.offset = 100
    prefetcher.forget()
    assert [value(prefetcher, number) for number in range(1, 6)] == [101, 102, 103, 104, 105]


def test_an_error_comes_where_its_batch_is_taken_and_again() -> None:
    numbers = Numbers(damaged=2)
    prefetcher = Prefetcher(numbers, 3)
    assert [value(prefetcher, number) for number in (0, 1)] == [0, 1]
    for _ in range(3):
        with pytest.raises(InputError, match="batch 2 is damaged"):
            prefetcher.batch(2)
    assert value(prefetcher, 3) == 3
    numbers.damaged = None
    assert value(prefetcher, 2) == 2


class Slow(Numbers):
    """Batches take longer or shorter by chance, and are made in several threads."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.running = self.most = 0

    def batch(self, number: int) -> Batch:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.002 * (number * 7 % 5))
        with self.lock:
            self.running -= 1
        return super().batch(number)


@pytest.mark.parametrize("count", [2, 4])
def test_several_threads_make_the_same_batches_in_the_same_order(count: int) -> None:
    numbers = Slow()
    prefetcher = Prefetcher(numbers, count, count)
    assert [value(prefetcher, number) for number in range(40)] == list(range(40))
    assert [value(prefetcher, number) for number in (90, 91, 3, 4)] == [90, 91, 3, 4]
    assert numbers.most == count
    assert threads() >= count
    assert until(lambda: not numbers.running)
    assert sorted(each for each in numbers.made if each < 40) == sorted([*range(40), *range(3, 5 + count)])


def test_an_error_of_one_thread_leaves_the_batches_of_the_others() -> None:
    numbers = Slow()
    numbers.damaged = 5
    prefetcher = Prefetcher(numbers, 3, 3)
    for number in (0, 1, 2, 3, 4, 6, 7, 8):
        assert value(prefetcher, number) == number
    with pytest.raises(InputError, match="batch 5 is damaged"):
        prefetcher.batch(5)


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(cores: int, solvers: int = 1, **variables: str) -> int:
        for name in ("BATCHBREW_DATA_THREADS", "LOCAL_WORLD_SIZE"):
            monkeypatch.delenv(name, raising=False)
        for name, said in variables.items():
            monkeypatch.setenv(name, said)
        monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
        monkeypatch.setattr("batchbrew.caffe.mode.solver_count", lambda: solvers)
        return data_threads()

    assert [asked(cores) for cores in (1, 2, 6, 16, 200)] == [1, 2, 6, 8, 8]
    assert asked(16, solvers=4) == 4
    assert asked(16, solvers=32) == 1
    assert asked(16, solvers=32, LOCAL_WORLD_SIZE="4") == 4
    assert asked(2, BATCHBREW_DATA_THREADS="12") == 12
    for said in ("0", "-1", "two", "", "1.5", "1025"):
        with pytest.raises(InputError, match=f"^BATCHBREW_DATA_THREADS is '{said}': it is a number of"):
            asked(2, BATCHBREW_DATA_THREADS=said)


def test_the_thread_ends_with_its_owner() -> None:
    end_those_of_other_tests()
    numbers = Numbers()
    source = weakref.ref(numbers)
    prefetcher = Prefetcher(numbers, 2)
    assert value(prefetcher, 0) == 0
    assert threads() == 1
    del prefetcher, numbers
    gc.collect()
    assert until(lambda: not threads() and source() is None)


def test_no_thread_before_the_first_batch_and_none_where_nothing_is_made_ahead() -> None:
    end_those_of_other_tests()
    waiting, eager = Prefetcher(Numbers(), 2), Prefetcher(Numbers(), 0)
    assert value(eager, 0) == 0
    assert threads() == 0
    assert value(waiting, 0) == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_the_child_reads_on() -> None:
    prefetcher = Prefetcher(Numbers(), 2)
    assert value(prefetcher, 0) == 0
    child = os.fork()
    if child == 0:
        good = [value(prefetcher, number) for number in (1, 2, 3, 4)] == [1, 2, 3, 4]
        os._exit(0 if good else 1)
    if not until(lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT), 30):
        os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == 0
    assert [value(prefetcher, number) for number in (1, 2)] == [1, 2]


def test_the_interpreter_ends_though_batches_are_in_the_making() -> None:
    program = (
        "import time, numpy\n"
        "from batchbrew.caffe.data.prefetch import Prefetcher\n"
        "class Slow:\n"
        "    def batch(self, number):\n"
        "        time.sleep(0.05 if number < 2 else 0.3)\n"
        "        return [numpy.zeros(1)]\n"
        "kept = Prefetcher(Slow(), 2)\n"
        "kept.batch(0)\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
