"""Batches on their way to where layers compute, and what making them took."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from batchbrew.caffe import mode
from batchbrew.caffe.data.staging import Column, Numbers, StagedBatches, Upload, host_room, uploaded


class Source:
    """Batch n is the number n; it takes some time, of which half is waited."""

    def batch(self, number: int) -> Sequence[Column]:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        time.sleep(0.02)
        if number == 3:
            raise ValueError("no batch 3")
        return [Numbers(np.full((2, 1), number, np.float32))]


def test_batches_come_as_they_were_made_and_their_time_is_kept() -> None:
    batches = StagedBatches(Source())
    assert [batches.batch(number)[0].tensor().tolist() for number in (5, 0)] == [[[5], [5]], [[0], [0]]]
    assert len(batches.made) == 2
    for taken in batches.made:
        assert taken.seconds > taken.core_seconds >= 0.02
    with pytest.raises(ValueError, match="no batch 3"):
        batches.batch(3)
    assert len(batches.made) == 2


def test_on_the_cpu_nothing_is_copied() -> None:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    column = Numbers(numbers)
    column.stage(Upload())
    assert column.tensor().data_ptr() == numbers.ctypes.data
    tensor = torch.ones(2)
    assert uploaded(tensor, mode.device()) is tensor
    room = host_room((2, 3), torch.uint8)
    assert (room.shape, room.dtype, room.is_pinned()) == ((2, 3), torch.uint8, False)
