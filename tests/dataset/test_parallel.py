import threading
import time
from collections.abc import Iterator

import pytest

from batchbrew.dataset.parallel import AHEAD, ordered_map


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_is_that_of_the_items(workers: int) -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.01 if number < 3 else 0)
        return number * number

    assert list(ordered_map(slow_at_first, range(100), workers)) == [number**2 for number in range(100)]


def test_items_are_taken_only_a_little_ahead() -> None:
    taken: list[int] = []

    def noted() -> Iterator[int]:
        for number in range(1, 1000):
            taken.append(number)
            yield number

    results = ordered_map(lambda number: number, noted(), workers=2)
    assert next(results) == 1
    assert len(taken) == 2 * AHEAD + 1
    results.close()


def test_exception_is_raised_at_its_place_and_threads_end() -> None:
    def fail_at_5(number: int) -> int:
        if number == 5:
            raise ValueError(number)
        return number

    seen = []
    with pytest.raises(ValueError, match="5"):
        for number in ordered_map(fail_at_5, range(100), 2):
            seen.append(number)
    assert seen == [0, 1, 2, 3, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("image")]
