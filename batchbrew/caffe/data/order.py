"""The order in which a data layer takes its records: what the n-th is, for any n."""

from functools import lru_cache
from typing import NamedTuple

from batchbrew.caffe import mode
from batchbrew.caffe.data.randomness import permutation
from batchbrew.errors import InputError

ROUNDS_KEPT = 2  # where one ends, some threads are in the next already


class Share(NamedTuple):
    """Which records this solver takes, where several train together: every `solvers`-th, from number `rank` on."""

    solvers: int = 1
    rank: int = 0

    def place(self, item: int) -> int:
        """Where this solver's n-th record is among those of all solvers."""
        return item * self.solvers + self.rank


ALL = Share()


def share_in(phase: int) -> Share:
    """As Caffe deals records out: to all solvers in turn; in TEST phase the one that tests takes all."""
    if phase == mode.TEST:
        return ALL
    return Share(mode.solver_count(), mode.solver_rank() % mode.solver_count())


class Order:
    """`records` of them, from `first` on, round and round; with a seed each round is shuffled anew."""

    def __init__(self, records: int, share: Share = ALL, first: int = 0, seed: int | None = None) -> None:
        self._records = records
        self._share = share
        self._first = first
        self._seed = seed
        self._permutation = lru_cache(ROUNDS_KEPT)(lambda epoch: permutation(records, seed or 0, epoch))

    def shuffled(self, seed: int) -> "Order":
        """The same records, shuffled in each round by `seed`. Raises InputError if it is negative."""
        if seed < 0:
            raise InputError(f"shuffle: a seed is 0 or more, not {seed}")
        return Order(self._records, self._share, self._first, seed)

    def record(self, item: int) -> int:
        """Which record the `item`-th is, both from 0."""
        epoch, place = divmod(self._first + self._share.place(item), self._records)
        return place if self._seed is None else int(self._permutation(epoch)[place])
