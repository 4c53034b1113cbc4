"""How a batch gets to where layers compute, while they compute.

On a GPU it is copied from memory that the driver may read at any time (pinned), on a stream of its own, by the
thread that made it; the net's stream waits for that copy alone, and nothing on the host waits. On the CPU nothing
moves.
"""

from collections import deque
from collections.abc import Sequence
from time import perf_counter, thread_time
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchbrew.caffe import mode


class Column(Protocol):
    """A batch's part for one top."""

    def stage(self, upload: "Upload") -> None:
        """Begin to bring it to where layers compute."""

    def tensor(self) -> Tensor:
        """Its float32 numbers there, in the shape of the top. They are the caller's; to be asked for once."""


class ColumnSource(Protocol):
    """What a data layer reads: any batch by its number, from 0, and the same one each time it is asked for."""

    def batch(self, number: int) -> Sequence[Column]:
        """Make the batch, in any thread. Raises InputError or Refusal."""


class Numbers:
    """Float32 numbers as they are."""

    def __init__(self, array: NDArray[np.float32]) -> None:
        self._arrival = Arrival(torch.from_numpy(array))

    def stage(self, upload: "Upload") -> None:
        """Begin to bring them."""
        self._arrival = upload.begin(self._arrival.tensor)

    def tensor(self) -> Tensor:
        """All of them."""
        return self._arrival.take()


class Arrival:
    """A tensor that may still be under way to a GPU."""

    def __init__(self, tensor: Tensor, copied: torch.cuda.Event | None = None) -> None:
        self.tensor = tensor
        self._copied = copied

    def take(self) -> Tensor:
        """The tensor, for whatever is launched from now on."""
        if self._copied is not None:
            stream = torch.cuda.current_stream(self.tensor.device)
            stream.wait_event(self._copied)
            self.tensor.record_stream(
                stream
            )  # its memory is not given away before the stream is done with it
        return self.tensor.to(mode.device())  # which may have been changed since


class Upload:
    """One layer's way to where layers compute."""

    def __init__(self) -> None:
        self._stream: torch.cuda.Stream | None = None

    def begin(self, tensor: Tensor) -> Arrival:
        """Begin to bring `tensor` there, from the host."""
        device = mode.device()
        if device.type != "cuda":
            return Arrival(tensor)
        # Of this thread: else leaving the stream below would turn to GPU 0, and use it.
        torch.cuda.set_device(device)
        if self._stream is None or self._stream.device != device:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._stream):
            there = uploaded(tensor, device)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
        return Arrival(there, copied)


def host_room(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """An unfilled tensor from which uploads need not wait."""
    return torch.empty(tuple(shape), dtype=dtype, pin_memory=mode.device().type == "cuda")


def uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor`, which is on the host, on `device`; what is launched next on the current stream finds it there."""
    if device.type != "cuda":
        return tensor
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
    return pinned.to(device, non_blocking=True)


class StagedBatches:
    """The batches of `source`, under way to where layers compute. `made` has what the latest ones took."""

    def __init__(self, source: ColumnSource) -> None:
        self.made: deque[Taken] = deque(maxlen=64)
        self._source = source
        self._upload = Upload()

    def batch(self, number: int) -> Sequence[Column]:
        """Make batch `number`. Raises InputError or Refusal."""
        began, began_to_work = perf_counter(), thread_time()
        columns = self._source.batch(number)
        for column in columns:
            column.stage(self._upload)
        self.made.append(Taken(perf_counter() - began, thread_time() - began_to_work))
        return columns


class Taken(NamedTuple):
    """How long a thread made a batch, and how long it was on a core for that."""

    seconds: float
    core_seconds: float
