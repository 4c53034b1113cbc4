import threading

import pytest

from batchbrew.dataset.pixel_budget import PixelBudget

PATIENCE_SECONDS = 10.0


class Holder:
    """A thread that takes some pixels and keeps them until it is let go."""

    def __init__(self, budget: PixelBudget, pixels: int) -> None:
        self.holds = threading.Event()
        self._let_go = threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(budget, pixels), daemon=True)
        self._thread.start()

    def _hold(self, budget: PixelBudget, pixels: int) -> None:
        with budget.hold(pixels):
            self.holds.set()
            self._let_go.wait(PATIENCE_SECONDS)

    def let_go(self) -> None:
        self._let_go.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


def is_waiting(budget: PixelBudget, count: int) -> bool:
    """Whether `count` threads come to wait."""
    pause = threading.Event()
    return any(len(budget._waiting) == count or pause.wait(0.01) for _ in range(1000))


def test_they_wait_until_there_is_room() -> None:
    budget = PixelBudget(100, 200)
    first, second = Holder(budget, 60), Holder(budget, 40)
    assert first.holds.wait(PATIENCE_SECONDS)
    assert second.holds.wait(PATIENCE_SECONDS)
    third = Holder(budget, 41)
    assert is_waiting(budget, 1)
    second.let_go()
    assert not third.holds.is_set()  # 40 are free
    first.let_go()
    assert third.holds.wait(PATIENCE_SECONDS)
    third.let_go()


def test_who_came_first_is_first() -> None:
    """Else a large picture would wait as long as small ones come."""
    budget = PixelBudget(100, 200)
    first = Holder(budget, 60)
    assert first.holds.wait(PATIENCE_SECONDS)
    large = Holder(budget, 90)
    assert is_waiting(budget, 1)
    small = Holder(budget, 10)
    assert is_waiting(budget, 2)
    assert not small.holds.is_set()
    first.let_go()
    assert large.holds.wait(PATIENCE_SECONDS)
    assert small.holds.wait(PATIENCE_SECONDS)
    large.let_go()
    small.let_go()


def test_more_than_the_whole_is_held_alone() -> None:
    budget = PixelBudget(100, 200)
    small = Holder(budget, 1)
    assert small.holds.wait(PATIENCE_SECONDS)
    huge = Holder(budget, 200)
    assert is_waiting(budget, 1)
    small.let_go()
    assert huge.holds.wait(PATIENCE_SECONDS)
    other = Holder(budget, 1)
    assert is_waiting(budget, 1)
    assert not other.holds.is_set()
    huge.let_go()
    assert other.holds.wait(PATIENCE_SECONDS)
    other.let_go()


def test_a_failure_gives_back() -> None:
    budget = PixelBudget(100, 200)
    with pytest.raises(ZeroDivisionError), budget.hold(100):
        raise ZeroDivisionError
    with budget.hold(100):
        pass
