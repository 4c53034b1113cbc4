"""Does the net wait for its data? What a solver tells when the data set the pace: numbers, and what to do."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from statistics import mean, median
from typing import NamedTuple

from batchbrew.caffe import engine_log
from batchbrew.caffe.data.prefetch import THREADS_VARIABLE
from batchbrew.caffe.data.staging import Taken

LEAST_SECONDS = 10.0  # of training before anything is said: at first nothing is there yet
LEAST_BATCHES = 10
KEPT_BATCHES = 1024
LEAST_SHARE = 0.1  # of the time, that waiting is worth a word
SILENT_SECONDS = 300.0  # after a warning
AWAITED_SHARE = (
    0.4  # of the time in which a batch is made: a thread less on a core than that waits for something
)
SOURCE = "blocking_queue.cpp:49"  # where Caffe says "Waiting for data"


class Pace(NamedTuple):
    """How long, in seconds, the net computes with a batch of so many images, and waits for the next one."""

    images: int
    computing: float
    waiting: float

    @property
    def share(self) -> float:
        """Of the time in which the net waits."""
        return self.waiting / (self.computing + self.waiting)

    def __str__(self) -> str:
        data, net = self.images / (self.computing + self.waiting), self.images / self.computing
        return f"data {data:,.0f} images/s, net {net:,.0f} images/s"


class Waiting:
    """When batches of the layer `name` were asked for, and when they were there; `made` is what its threads took."""

    def __init__(self, name: str, made: Collection[Taken], threads: int) -> None:
        self.name = name
        self.threads = threads
        self._made = made
        self._computing: deque[float] = deque(maxlen=KEPT_BATCHES)
        self._waiting: deque[float] = deque(maxlen=KEPT_BATCHES)
        self._given: float | None = None
        self._images = 0

    def took(self, asked: float, given: float, images: int) -> None:
        """One more batch, of so many images; both times are of the same clock, in seconds."""
        if self._given is not None:
            self._computing.append(asked - self._given)
            self._waiting.append(given - asked)
        self._given, self._images = given, images

    def lap(self) -> Pace | None:
        """The pace since the last lap; None, and no new lap, if that was too short.

        Of computing it is the median: a test or a snapshot between two batches is not the net's pace.
        """
        if len(self._computing) < LEAST_BATCHES or sum(self._computing) + sum(self._waiting) < LEAST_SECONDS:
            return None
        pace = Pace(self._images, median(self._computing), mean(self._waiting))
        self._computing.clear()
        self._waiting.clear()
        return pace

    @property
    def share_on_cores(self) -> float:
        """Of the time in which batches were made, that in which the thread was on a core."""
        made = list(self._made)
        return sum(each.core_seconds for each in made) / (sum(each.seconds for each in made) or 1)


class PaceWarning:
    """Looks at the data layers of a training net from time to time, and warns in the log, but not all the time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until = float("-inf")

    def look(self, layers: Iterable[Waiting]) -> None:
        """Warn of the layer that is waited for longest, if that is long."""
        paces = [(pace, layer) for layer in layers if (pace := layer.lap()) is not None]
        if not paces:
            return
        pace, slowest = max(paces, key=lambda each: each[0].waiting)
        if pace.share >= LEAST_SHARE and self._clock() >= self._silent_until:
            self._silent_until = self._clock() + SILENT_SECONDS
            engine_log.warning(SOURCE, f"Waiting for data: {remark(pace, slowest)}")


def remark(pace: Pace, layer: Waiting) -> str:
    """How much is lost by waiting for a layer, and what to do."""
    if layer.share_on_cores < AWAITED_SHARE:
        advice = "its threads wait for the disk, or for cores: copy the data set to a local disk"
    else:
        advice = (
            f"its threads ({layer.threads}) decode all the time: give the run more cores, or build the data set with "
            f"smaller images; {THREADS_VARIABLE} sets the number of threads"
        )
    return f"{pace}: the net waits for layer {layer.name} {pace.share:.0%} of the time; {advice}"
