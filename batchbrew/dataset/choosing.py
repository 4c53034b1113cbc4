"""Which records of a data set go where: by chance, but with the same seed always the same.

Records are named by their number, from 0. What is chosen keeps the order of the data set.
"""

import random
from array import array
from collections.abc import Callable, Sequence

from batchbrew.errors import InputError

Numbers = Sequence[int]


def drawn(candidates: Numbers, wanted: int, seed: int) -> "array[int]":
    """`wanted` of the candidates, in their order.

    Each is kept with the chance that is left to it (Knuth, The Art of Computer Programming 3.4.2, algorithm S), with
    `random.Random(seed).random()`, whose values Python promises for all versions and machines.
    """
    uniform = _uniform(seed)
    chosen = array("Q")
    for place, number in enumerate(candidates):
        if uniform() * (len(candidates) - place) < wanted - len(chosen):
            chosen.append(number)
    return chosen


def drawn_of_each(labels: Numbers, candidates: Numbers, wanted: int, seed: int) -> "array[int]":
    """Up to `wanted` of the candidates of each label, in the order of the candidates; all of a smaller class."""
    left: dict[int, int] = {}
    for number in candidates:
        left[labels[number]] = left.get(labels[number], 0) + 1
    missing = dict.fromkeys(left, wanted)
    uniform = _uniform(seed)
    chosen = array("Q")
    for number in candidates:
        label = labels[number]
        if uniform() * left[label] < missing[label]:
            chosen.append(number)
            missing[label] -= 1
        left[label] -= 1
    return chosen


def divided(order: Numbers, fractions: Sequence[float]) -> bytearray:
    """For each record the number of its part, where `order` has every record once.

    Going along the order, each goes to the part that is furthest behind its fraction. So of any stretch of the order
    each part gets its fraction, to a record or so; and if a class lies in one stretch, of that class.
    """
    assert len(fractions) < 256
    part_of = bytearray(len(order))
    sizes = [0] * len(fractions)
    for done, number in enumerate(order, start=1):
        part = max(range(len(sizes)), key=lambda each: fractions[each] * done - sizes[each])
        part_of[number] = part
        sizes[part] += 1
    return part_of


def by_class(labels: Numbers, order: Numbers, seed: int) -> "array[int]":
    """The records in the order of classes that `seed` draws; within a class in that of `order`."""
    uniform = _uniform(seed)
    place = {label: (uniform(), label) for label in sorted(set(labels))}
    return array("Q", sorted(order, key=lambda number: place[labels[number]]))


def check_seed(seed: int) -> None:
    """Raises InputError for a negative one, which Python would take for its opposite."""
    if seed < 0:
        raise InputError(f"seed {seed} cannot be used: it must be a whole number from 0")


def _uniform(seed: int) -> Callable[[], float]:
    check_seed(seed)
    return random.Random(seed).random
