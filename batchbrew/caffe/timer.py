"""caffe.Timer: how long something takes, the GPU's work included."""

import time

import torch

from batchbrew.caffe import mode


class Timer:
    """`start()`, `stop()`, then `ms`, `us` or `s`: properties of pycaffe's Timer, floats."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._seconds = 0.0

    def start(self) -> None:
        """Begin to measure; does nothing while it measures."""
        if self._start is None:
            self._start = _now()

    def stop(self) -> None:
        """End to measure."""
        if self._start is not None:
            self._seconds = _now() - self._start
            self._start = None

    @property
    def s(self) -> float:
        """Seconds between start and stop; ends a measurement that runs."""
        self.stop()
        return self._seconds

    @property
    def ms(self) -> float:
        """Milliseconds."""
        return self.s * 1e3

    @property
    def us(self) -> float:
        """Microseconds."""
        return self.s * 1e6


def _now() -> float:
    if mode.device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
