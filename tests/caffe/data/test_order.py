"""Which record the n-th is."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from batchbrew.caffe import mode
from batchbrew.caffe.data.order import Order, Share, share_in
from batchbrew.caffe.data.randomness import draws, new_seed, permutation
from batchbrew.proto import caffe_pb2 as pb


@pytest.fixture(autouse=True)
def one_solver() -> Iterator[None]:
    yield
    mode.set_solver_count(1)
    mode.set_solver_rank(0)


def records(order: Order, count: int, start: int = 0) -> list[int]:
    return [order.record(item) for item in range(start, start + count)]


def test_round_and_round() -> None:
    assert records(Order(3), 7) == [0, 1, 2, 0, 1, 2, 0]
    assert records(Order(3, first=2), 4) == [2, 0, 1, 2]
    assert Order(3).record(3 * 10**18 + 1) == 1


def test_solvers_take_turns_on_through_the_rounds() -> None:
    assert records(Order(5, Share(3, 0)), 6) == [0, 3, 1, 4, 2, 0]
    assert records(Order(5, Share(3, 2)), 4) == [2, 0, 3, 1]
    mode.set_solver_count(4)
    mode.set_solver_rank(3)
    assert share_in(pb.TRAIN) == Share(4, 3)
    assert share_in(pb.TEST) == Share(1, 0)


def test_shuffled() -> None:
    order = Order(6, first=2).shuffled(9)
    straight = Order(6).shuffled(9)
    assert records(order, 20) == records(straight, 20, 2)
    assert records(straight, 6, 6) == permutation(6, 9, 1).tolist()
    assert Order(6).shuffled(9).record(1000) == straight.record(1000)  # no need to have been before
    assert records(Order(6).shuffled(8).shuffled(9), 12) == records(straight, 12)


def test_every_order_is_as_likely() -> None:
    counts = Counter(tuple(permutation(3, 1, epoch).tolist()) for epoch in range(6000))
    assert len(counts) == 6
    assert (
        sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5
    )  # 5 degrees of freedom, 1 in 1000


def test_numbers_are_those_of_every_numpy() -> None:
    """A run that goes on under another numpy sees the same images."""
    assert draws(2, 1, 2).tolist() == [2242947762669890935, 8650247002359217396]
    assert permutation(8, 3, 4).tolist() == [1, 7, 0, 3, 4, 5, 6, 2]
    assert len({tuple(draws(2, 5, *place)) for place in [(), (0,), (0, 0), (1,), (2**40,)]}) == 5


def test_a_seed_follows_from_set_random_seed() -> None:
    mode.set_random_seed(7)
    first = [new_seed(), new_seed()]
    mode.set_random_seed(7)
    assert [new_seed(), new_seed()] == first
    assert first[0] != first[1]
    assert np.all(np.array(first) >= 0)
