"""One attempt of a run: a worker from its start to its end, and what is known of it meanwhile."""

from dataclasses import dataclass, field
from pathlib import Path

from batchbrew.training.divergence import DivergenceDetector
from batchbrew.training.snapshots import Snapshot


@dataclass(frozen=True)
class Start:
    """Where an attempt begins: a snapshot, or (None) the initial weights at iteration 0."""

    snapshot: Snapshot | None
    state: Path | None

    @property
    def iteration(self) -> int:
        """The first iteration of the attempt."""
        return self.snapshot.iteration if self.snapshot else 0


@dataclass
class Attempt:
    """What is known of the attempt that is running."""

    start: Start
    seed: int
    batches_before: int  # of the training data, dropped or read by earlier attempts
    detector: DivergenceDetector = field(default_factory=lambda: DivergenceDetector(loss_weight=0))
    parameters: int | None = None  # numbers in the net's blobs
    iteration: int = 0
    loss: float = float("nan")
    divergence: str | None = None
    asked_to_stop: bool = False
    finished: bool = False
