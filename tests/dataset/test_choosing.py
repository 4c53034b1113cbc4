from collections import Counter

import pytest

from batchbrew.dataset.choosing import by_class, divided, drawn, drawn_of_each
from batchbrew.dataset.sources import permutation
from batchbrew.errors import InputError


def test_drawn_are_so_many_and_in_order() -> None:
    chosen = drawn(range(100, 200), 30, 5)
    assert len(chosen) == 30
    assert list(chosen) == sorted(set(chosen))
    assert min(chosen) >= 100 and max(chosen) < 200
    assert chosen == drawn(range(100, 200), 30, 5)
    assert chosen != drawn(range(100, 200), 30, 6)
    assert list(drawn(range(4), 4, 1)) == [0, 1, 2, 3]
    assert list(drawn([7, 9], 0, 1)) == []


def test_each_candidate_has_the_same_chance() -> None:
    seen = Counter(number for seed in range(2000) for number in drawn(range(10), 3, seed))
    assert sum(seen.values()) == 6000
    assert all(500 < seen[number] < 700 for number in range(10))


def test_what_a_seed_draws_stays_what_it_was() -> None:
    assert list(drawn(range(20), 5, 0)) == [3, 7, 12, 15, 19]


def test_drawn_of_each_class() -> None:
    labels = [0] * 10 + [1] * 3 + [2] * 50
    chosen = drawn_of_each(labels, range(len(labels)), 5, 2)
    assert Counter(labels[number] for number in chosen) == {0: 5, 1: 3, 2: 5}
    assert list(chosen) == sorted(chosen)
    assert max(chosen) > 40  # not the first ones
    assert list(drawn_of_each(labels, [0, 62], 5, 2)) == [0, 62]


@pytest.mark.parametrize("fractions", [(0.9, 0.1), (0.5, 0.3, 0.2), (1 / 3, 1 / 3, 1 / 3)])
def test_parts_of_every_class_and_of_the_whole(fractions: tuple[float, ...]) -> None:
    labels = [number % 7 for number in range(700)] + [7] * 30 + [8] * 4
    order = by_class(labels, permutation(len(labels), 3), 3)
    assert sorted(order) == list(range(len(labels)))
    assert len(list(_runs([labels[number] for number in order]))) == 9
    part_of = divided(order, fractions)
    for part, fraction in enumerate(fractions):
        mine = [labels[number] for number in range(len(labels)) if part_of[number] == part]
        assert abs(len(mine) - fraction * len(labels)) < 1
        for label, count in Counter(labels).items():
            assert abs(mine.count(label) - fraction * count) < 2


def _runs(labels: list[int]) -> list[int]:
    return [label for place, label in enumerate(labels) if place == 0 or labels[place - 1] != label]


def test_classes_of_one_record_are_divided_too() -> None:
    labels = list(range(100))
    part_of = divided(by_class(labels, permutation(100, 0), 0), (0.9, 0.1))
    mine = [number for number in range(100) if part_of[number] == 1]
    assert len(mine) == 10
    assert mine != [number for number in range(100) if divided(range(100), (0.9, 0.1))[number] == 1]


def test_seed_must_not_be_negative() -> None:
    with pytest.raises(InputError, match="seed -1"):
        drawn(range(3), 1, -1)
