"""What a training log holds, by iteration; `batchbrew.training.log` reads it from a file."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batchbrew.proto.caffe_pb2 import SolverParameter
from batchbrew.training.log_lines import Snapshot


@dataclass
class Series:
    """Numbers by iteration, in rising order of iterations. Kept as arrays: a log may hold millions."""

    iterations: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self.iterations)

    def record(self, iteration: int, value: float) -> None:
        """Add a number, or replace that of the same iteration."""
        self.forget_after(iteration)
        if self.iterations and self.iterations[-1] == iteration:
            self.values[-1] = value
        else:
            self.iterations.append(iteration)
            self.values.append(value)

    def forget_after(self, iteration: int) -> None:
        """Drop what came after `iteration`; the number of `iteration` itself stays."""
        if self.iterations and self.iterations[-1] > iteration:
            kept = bisect_right(self.iterations, iteration)
            del self.iterations[kept:], self.values[kept:]


@dataclass(frozen=True, slots=True)
class Restart:
    """Training went on from `iteration` (None: not said); `reached`: how far it had come, if further."""

    iteration: int | None
    reached: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """A loss that was lost, as our supervisor says or as the losses themselves show."""

    iteration: int
    reason: str


@dataclass
class TrainingLog:
    """All that a log says. Values that a restart made void are not in it.

    `tests` holds a series for each output of each test net: `log.tests[0]["accuracy"]`. Element k of an
    output with several numbers is `name[k]`, the first one `name`. `losses` names the outputs that have a
    loss weight.
    """

    path: Path
    net_name: str | None = None
    solver: SolverParameter | None = None
    loss: Series = field(default_factory=Series)
    rate: Series = field(default_factory=Series)
    train_outputs: dict[str, Series] = field(default_factory=dict)
    tests: dict[int, dict[str, Series]] = field(default_factory=dict)
    losses: set[str] = field(default_factory=set)
    snapshots: list[Snapshot] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)
    done: bool = False
    ends_in_half_a_line: bool = False
    unparsed: list[tuple[int, str]] = field(default_factory=list)  # line number and text, of the first few
    unparsed_count: int = 0

    def every_series(self) -> Iterator[Series]:
        """All numbers by iteration, whatever they are of."""
        yield from (self.loss, self.rate, *self.train_outputs.values())
        for outputs in self.tests.values():
            yield from outputs.values()
