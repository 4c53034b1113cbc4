"""Processes that live at the same time and are asked in turn for some iterations (what they are: subjects.py)."""

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from subjects import Start

from batchbrew.errors import EngineError

Taken = Mapping[
    str, Sequence[tuple[float, float]]
]  # by subject, of each round: seconds, and seconds on cores
LAST_LINES = 5  # of a subject that ended, which tell why


@dataclass
class Measured:
    """What came of a subject: the seconds of an iteration in each round, and the most memory it ever had."""

    seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    loss: float = math.nan

    @property
    def step_seconds(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.seconds)


class Asked:
    """A running subject."""

    def __init__(self, name: str, start: Start) -> None:
        """Start it. Raises EngineError if it cannot be run."""
        self._name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                start.command, env={**os.environ, **start.environment}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            )  # fmt: skip
        except OSError as error:
            raise EngineError(f"{name}: {start.command[0]} cannot be run: {error.strerror}") from error

    def hear(self) -> dict[str, Any]:
        """Its next answer. Raises EngineError with its last words if it ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise EngineError(f"{self._name} ended with {self._process.wait()}: {self._last_words()}")
        told: dict[str, Any] = json.loads(line)
        return told

    def ask(self, steps: int, lead_in: int) -> dict[str, Any]:
        """Have it train, and wait. Raises EngineError if it cannot, or if its loss is no number any more."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: hear() says why
            self._process.stdin.write(json.dumps({"lead_in": lead_in, "steps": steps}) + "\n")
            self._process.stdin.flush()
        told = self.hear()
        if not math.isfinite(told["loss"]):
            raise EngineError(f"{self._name}: the loss is {told['loss']}: what it computes is worth nothing")
        return told

    def end(self) -> None:
        """At once, whatever it is doing."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._errors.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        return " | ".join(lines[-LAST_LINES:]) or "it said nothing"


@contextlib.contextmanager
def running(starts: Mapping[str, Start]) -> Iterator[dict[str, Asked]]:
    """Start all, and wait until each is ready: none is measured while another still loads. Ends them afterwards."""
    with contextlib.ExitStack() as stack:
        asked = {}
        for name, start in starts.items():
            asked[name] = Asked(name, start)
            stack.callback(asked[name].end)
        for each in asked.values():
            each.hear()
        yield asked


def in_turn(
    asked: Mapping[str, Asked],
    *,
    rounds: int,
    steps: int,
    lead_in: int = 0,
    told: Callable[[str], None] = lambda what: None,
) -> dict[str, Measured]:
    """Ask each for `steps` iterations after `lead_in` that do not count, in rounds; a first one is thrown away."""
    measured = {name: Measured() for name in asked}
    for number in range(rounds + 1):
        for name, each in asked.items():
            answer = each.ask(steps, lead_in)
            own = measured[name]
            own.peak_bytes, own.loss = answer["peak_bytes"], answer["loss"]
            if number:
                own.seconds.append(answer["seconds"] / steps)
        told(f"round {number} of {rounds}")
    return measured


def wall_and_cores(asked: Mapping[str, Asked], rounds: int, steps: int, lead_in: int) -> Taken:
    """Ask each in its turn, as in_turn, where it is told how long the cores worked, too."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    for number in range(rounds + 1):
        for name, each in asked.items():
            told = each.ask(steps, lead_in)
            if number:
                taken[name].append((told["seconds"], told["core_seconds"]))
        print(f"round {number} of {rounds}", file=sys.stderr)
    return taken
