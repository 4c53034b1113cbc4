"""Memory: numbers that come later or are gone, and how they lie."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from batchbrew.caffe.memory import Memory, lie_alike
from batchbrew.errors import InputError

LAST = torch.channels_last


class Maker:
    """Gives `tensor`, and counts how often."""

    def __init__(self, *values: float) -> None:
        self.tensor, self.calls = torch.tensor(values, dtype=torch.float32), 0

    def __call__(self) -> Tensor:
        self.calls += 1
        return self.tensor


def test_deferred_numbers_are_made_once_and_only_when_asked_for() -> None:
    memory, maker = Memory((2,)), Maker(1, 2)
    memory.defer(maker)
    assert maker.calls == 0 and memory.deferred is maker and not memory.is_zero
    assert memory.read((2,)).tolist() == memory.numpy((2,)).tolist() == [1, 2]
    assert maker.calls == 1 and memory.deferred is None


WAYS: dict[str, Callable[[Memory], Tensor]] = {
    "read": lambda memory: memory.read((2,)),
    "held": lambda memory: memory.held((2,)),
    "lasting": lambda memory: memory.lasting((2,)),
    "mutable": lambda memory: memory.mutable((2,)),
    "numpy": lambda memory: torch.from_numpy(memory.numpy((2,))),
    "resized": lambda memory: memory.resized((1,), keep=True).read((1,)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_the_numbers(way: str) -> None:
    memory = Memory((2,))
    memory.defer(Maker(1, 2))
    assert WAYS[way](memory).tolist() == ([1] if way == "resized" else [1, 2])
    if way != "resized":
        memory.drop("they are gone")
        with pytest.raises(InputError, match="they are gone"):
            WAYS[way](memory)
        assert not memory.is_zero and memory.deferred is None


def test_new_numbers_end_what_was_to_come_or_was_gone() -> None:
    memory, maker = Memory((2,)), Maker(1, 2)
    for before in (memory.defer, lambda _: memory.drop("gone")):
        before(maker)
        memory.replace(torch.tensor([3.0, 4]))
        assert memory.read((2,)).tolist() == [3, 4]
        before(maker)
        memory.clear()
        assert memory.is_zero and memory.read((2,)).tolist() == [0, 0]
    assert maker.calls == 0


def test_views_that_somebody_holds_have_numbers_at_once_and_keep_them() -> None:
    memory = Memory((2,))
    memory.replace(torch.tensor([5.0, 6]))
    view, maker = memory.numpy((2,)), Maker(1, 2)
    memory.defer(maker)
    assert maker.calls == 1 and view.tolist() == [1, 2]
    view[0] = 7
    memory.drop("gone")
    assert memory.read((2,)).tolist() == [7, 2]
    assert maker.tensor.tolist() == [1, 2]  # what was given is not what is written to
    del view
    memory.drop("gone")
    with pytest.raises(InputError):
        memory.read((2,))


def test_copies_of_what_is_deferred_or_gone() -> None:
    memory, other = Memory((2,)), Memory((2,))
    memory.defer(Maker(1, 2))
    other.copy_from(memory, (2,))
    memory.numpy((2,))[0] = 9
    assert other.read((2,)).tolist() == [1, 2]
    memory.drop("gone")
    with pytest.raises(InputError, match="gone"):
        other.copy_from(memory, (2,))
    with pytest.raises(InputError, match="gone"):
        memory.resized((1,), keep=True).read((1,))


def test_who_has_seen_numbers_may_have_written_them_until_there_are_new_ones() -> None:
    memory = Memory((2,))
    for renew in (
        lambda: memory.replace(torch.zeros(2)),
        lambda: memory.defer(Maker(1, 2)),
        lambda: memory.drop("x"),
    ):
        memory.replace(torch.ones(2))
        assert not memory.is_by_hand
        memory.numpy((2,))
        assert memory.is_by_hand
        renew()
        assert not memory.is_by_hand
    memory.replace(torch.ones(2))
    view = memory.numpy((2,))
    memory.replace(torch.zeros(2))
    assert memory.is_by_hand and view.tolist() == [0, 0]


def test_whose_the_tensor_is() -> None:
    memory = Memory((2,))
    memory.replace(torch.ones(2))
    assert memory.is_own
    kept = memory.lasting((2,))
    assert not memory.is_own
    memory.mutable((2,)).add_(1)
    assert kept.tolist() == [1, 1] and memory.is_own
    view = memory.numpy((2,))
    assert not memory.is_own
    lasting = memory.lasting((2,))
    view[0] = 8
    assert lasting.tolist() == [2, 2]


def test_numbers_are_laid_out_anew_unless_somebody_holds_a_view() -> None:
    memory, shape = Memory((2, 3, 4, 5)), (2, 3, 4, 5)
    numbers = torch.arange(120.0).reshape(shape)
    memory.replace(numbers)
    wanted = torch.empty(shape).to(memory_format=LAST)
    memory.lay_out(wanted)
    assert memory.held(shape).is_contiguous(memory_format=LAST) and torch.equal(memory.held(shape), numbers)
    held = memory.held(shape)
    memory.lay_out(wanted)
    assert memory.held(shape).data_ptr() == held.data_ptr()  # nothing to do
    view = memory.numpy(shape)
    assert np.array_equal(view, numbers.numpy())
    memory.lay_out(wanted)
    assert memory.held(shape).is_contiguous()
    view[0, 0, 0, 0] = 7
    assert memory.held(shape)[0, 0, 0, 0] == 7
    del view
    memory.lay_out(wanted)
    assert memory.held(shape).is_contiguous(memory_format=LAST) and memory.held(shape)[0, 0, 0, 0] == 7
    assert memory.is_by_hand  # they are the same numbers still


def test_tensors_that_lie_alike() -> None:
    plain, last = torch.empty(2, 3, 4, 5), torch.empty(2, 3, 4, 5).to(memory_format=LAST)
    assert lie_alike(plain, plain) and lie_alike(last, last)
    assert not lie_alike(plain, last) and not lie_alike(last, plain)
    points = torch.empty(2, 3, 1, 1)
    assert lie_alike(points, points.to(memory_format=LAST))
    expanded = torch.empty(1).expand(3)
    assert not lie_alike(expanded, expanded)
    matrix = torch.empty(3, 4)
    assert lie_alike(matrix, matrix) and not lie_alike(matrix, torch.empty(4, 3).T)
