"""What a solver tells of its training: losses, outputs, test results, its pace."""

import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchbrew.caffe import engine_log, mode
from batchbrew.caffe.data.batch_layer import BatchLayer
from batchbrew.caffe.data.pace import PaceWarning
from batchbrew.caffe.net import Net


class SmoothedLoss:
    """The mean of the last `window` losses, in float32 and in Caffe's order; it stays on the device."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._losses: list[Tensor] = []
        self._count = 0
        self._mean = torch.zeros(())

    def add(self, loss: Tensor) -> None:
        """Take up one more."""
        if len(self._losses) < self._window:
            self._losses.append(loss)
            size = len(self._losses)
            self._mean = loss if size == 1 else (self._mean * (size - 1) + loss) / size
        else:
            place = self._count % self._window
            self._mean = self._mean + (loss - self._losses[place]) / self._window
            self._losses[place] = loss
        self._count += 1

    @property
    def value(self) -> float:
        """The mean; waits for the device."""
        return float(self._mean)


class Pace:
    """Iterations and seconds since the last line of the log. What passes between two calls of `step` does not count."""

    def __init__(self) -> None:
        self.iterations = 0
        self.of_data = PaceWarning()
        self._seconds = 0.0
        self._started: float | None = None

    def start(self) -> None:
        """Time passes."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Time stands still."""
        self._seconds = self._elapsed()
        self._started = None

    def lap(self) -> tuple[float, float]:
        """Iterations a second, and seconds, since the last lap."""
        seconds = self._elapsed()
        rate = self.iterations / (seconds or 1)
        self.iterations, self._seconds = 0, 0.0
        if self._started is not None:
            self.start()
        return rate, seconds

    def _elapsed(self) -> float:
        return self._seconds + (0 if self._started is None else time.perf_counter() - self._started)


def log_progress(iteration: int, interval: int, loss: float, pace: Pace, net: Net) -> None:
    """Loss and outputs of the training net."""
    rate, seconds = pace.lap()
    speed = f"{engine_log.number(rate)} iter/s, {engine_log.number(seconds)}s/{interval} iters"
    engine_log.info("solver.cpp:239", f"Iteration {iteration} ({speed}), loss = {engine_log.number(loss)}")
    values = (net.blobs[name].data_tensor.reshape(-1).cpu().numpy() for name in net.outputs)
    _log_outputs("solver.cpp:258", "Train", net, values)
    pace.of_data.look(layer.waiting for layer in net.layers if isinstance(layer, BatchLayer))


def log_scores(net: Net, scores: Iterable[NDArray[np.float32]]) -> None:
    """Mean outputs of a test net."""
    _log_outputs("solver.cpp:414", "Test", net, scores)


def _log_outputs(source: str, which: str, net: Net, outputs: Iterable[NDArray[np.float32]]) -> None:
    weights = net.blob_loss_weights
    index = 0
    for name, values in zip(net.outputs, outputs, strict=True):
        weight = np.float32(weights[name])
        for value in values:
            counted = ""
            if weight:
                counted = f" (* {engine_log.number(float(weight))} = {engine_log.number(float(weight * value))} loss)"
            engine_log.info(
                source,
                f"    {which} net output #{index}: {name} = {engine_log.number(float(value))}{counted}",
            )
            index += 1


def mean_outputs(net: Net, passes: int) -> tuple[float, Sequence[NDArray[np.float32]]]:
    """Mean loss and mean outputs of `passes` forward passes; the device is waited for once, at the end."""
    loss = torch.zeros((), device=mode.device())
    sums: list[Tensor] = []
    for _ in range(passes):
        loss = loss + net.forward_pass()
        outputs = [net.blobs[name].data_tensor.reshape(-1) for name in net.outputs]
        sums = [total + each for total, each in zip(sums, outputs, strict=True)] if sums else [
            each.clone() for each in outputs
        ]  # fmt: skip
    return float(loss / passes), [(total / passes).cpu().numpy() for total in sums]
