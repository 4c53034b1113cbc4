import threading
import time
from collections.abc import Callable

import pytest

from batchbrew.dataset.building import pipeline
from batchbrew.dataset.building.pipeline import Work, in_order


def work(count: int, do: Callable[[int], int], *, result: int = 1, file: int = 1) -> Work[int]:
    return Work(count, do, input_bytes=lambda number: file, result_bytes=lambda made: result)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("image-")]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_is_that_of_the_numbers(workers: int) -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.01 if number < 3 else 0)
        return number * number

    assert list(in_order(work(100, slow_at_first), workers)) == [number**2 for number in range(100)]
    assert threads() == []


@pytest.mark.parametrize(("limit", "most"), [("WAITING_BYTES", 4), ("WAITING_RESULTS", 4)])
def test_only_so_much_waits(monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    monkeypatch.setattr(pipeline, limit, 40 if limit == "WAITING_BYTES" else 4)
    begun: list[int] = []

    def do(number: int) -> int:
        begun.append(number)
        return number

    results = in_order(work(100, do, result=10), workers=2)
    assert next(results) == 0
    time.sleep(0.1)  # they would go on if they could
    # Those that wait, one that was given out, and one more that each worker had begun when the limit was met.
    assert most <= len(begun) <= 1 + most + 2
    assert list(results) == list(range(1, 100))
    assert len(begun) == 100


def test_large_files_are_held_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "INPUT_BYTES", 10)
    held: list[int] = []
    most_bytes = 0

    def do(number: int) -> int:
        nonlocal most_bytes
        held.append(number)
        most_bytes = max(most_bytes, sum(sizes[each] for each in list(held)))
        time.sleep(0.002)
        held.remove(number)
        return number

    sizes = [4, 4, 4, 25, 4, 9, 4, 4] * 4
    every = Work(len(sizes), do, input_bytes=sizes.__getitem__, result_bytes=lambda made: 1)
    assert list(in_order(every, workers=4)) == list(range(len(sizes)))
    assert most_bytes == 25


def test_exception_is_raised_at_its_place_and_threads_end() -> None:
    def fail_at_5(number: int) -> int:
        if number == 5:
            raise ValueError(number)
        return number

    seen = []
    with pytest.raises(ValueError, match="5"):
        for number in in_order(work(100, fail_at_5), 2):
            seen.append(number)
    assert seen == [0, 1, 2, 3, 4]
    assert threads() == []


def test_given_up_early() -> None:
    results = in_order(work(10**6, lambda number: number), 3)
    assert [next(results), next(results)] == [0, 1]
    results.close()
    assert threads() == []
