"""The order of a data set: a permutation that a number of images and a seed give, everywhere the same."""

import random
from array import array
from collections.abc import Sequence
from typing import TypeVar

from batchbrew.errors import InputError

Item = TypeVar("Item")


def permutation(count: int, seed: int) -> "array[int]":
    """The numbers 0 to `count` - 1 in an order that depends on nothing but `count` and the seed.

    A Fisher-Yates shuffle driven by `random.Random(seed).random()`. Python promises the values of random()
    for a given seed in all its versions and on all platforms; it does not promise random.shuffle's.
    Raises InputError if the seed is not a whole number from 0.
    """
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed {seed!r} cannot be used: it must be a whole number from 0")
    result = array("I", range(count))
    uniform = random.Random(seed).random
    for last in range(count - 1, 0, -1):
        chosen = int(uniform() * (last + 1))
        result[last], result[chosen] = result[chosen], result[last]
    return result


def shuffled(items: Sequence[Item], seed: int) -> list[Item]:
    """The items in the order of `permutation`."""
    return [items[place] for place in permutation(len(items), seed)]
