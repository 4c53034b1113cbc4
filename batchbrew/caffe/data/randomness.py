"""Random numbers that depend on a seed and a place alone: batch 1,000 has its crops without those before it."""

import numpy as np
import torch
from numpy.typing import NDArray

from batchbrew.caffe import mode


def new_seed() -> int:
    """A seed from the engine's random numbers: the same one in the same place after set_random_seed."""
    return int(torch.randint(2**62, (), generator=mode.random_generator()))


def draws(count: int, seed: int, *place: int) -> NDArray[np.uint64]:
    """`count` numbers of 64 random bits for `place`; numpy promises that no version of it gives others."""
    return np.random.Philox(np.random.SeedSequence(seed, spawn_key=place)).random_raw(count)


def permutation(length: int, seed: int, *place: int) -> NDArray[np.int64]:
    """0 to `length` - 1 in an order that is as likely as any other."""
    return np.argsort(draws(length, seed, *place), kind="stable")
