import random

import pytest

from batchbrew.dataset.sources import Entry, permutation, shuffled
from batchbrew.errors import InputError


def test_shuffle_is_a_known_permutation() -> None:
    entries = [Entry(str(number), number) for number in range(10)]
    order = [entry.label for entry in shuffled(entries, 0)]
    # Drawn by hand: swap place 9 with int(0.8444 * 10) = 8, place 8 with int(0.7580 * 9) = 6, ...
    assert [round(random.Random(0).random(), 4)] == [0.8444]
    assert order == [9, 4, 0, 5, 2, 7, 1, 3, 6, 8]
    assert [entry.label for entry in entries] == list(range(10))
    assert shuffled(entries, 1) != shuffled(entries, 0)
    with pytest.raises(InputError, match="seed -1"):
        shuffled(entries, -1)
    assert list(permutation(10, 0)) == order


def test_the_order_of_many_stays_what_it_is() -> None:
    """Data sets that were built in parts, or on other machines, rely on it."""
    order = permutation(100_000, 7)
    assert sorted(order) == list(range(100_000))
    assert list(order[:4]) == [68098, 95650, 94708, 17710]
    assert list(permutation(1, 7)) == [0]
    assert list(permutation(0, 7)) == []
    for seed in (-1, 1.5, "7"):
        with pytest.raises(InputError, match="must be a whole number from 0"):
            permutation(3, seed)  # type: ignore[arg-type]
