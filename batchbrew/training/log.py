"""A Caffe training log, read as a whole: losses, rates, test results, snapshots and restarts."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import BinaryIO

from google.protobuf import text_format

from batchbrew.errors import InputError
from batchbrew.glog import glog_line
from batchbrew.proto.caffe_pb2 import SolverParameter
from batchbrew.training import log_lines
from batchbrew.training.log_lines import parse_line
from batchbrew.training.training_log import Divergence, Restart, Series, TrainingLog

__all__ = ["Divergence", "Restart", "Series", "TrainingLog", "glog_line", "parse_line", "read_log"]

LOSS_OF_ZERO_PROBABILITY = 87.3365  # -log of the smallest float: a softmax that has saturated for good
_LONGEST_LINE_BYTES = 1 << 16  # glog ends its messages at 30,000 bytes
_UNPARSED_KEPT = 20
_PROTOTXT_LINE = re.compile(r"\s*(?:\w+\s*[:{].*|\}.*)?$")


def read_log(path: Path) -> TrainingLog:
    """Read a log from its first to its last line; a last line without its end is left out.

    Raises InputError if the file cannot be read, is empty or is no Caffe training log.
    """
    reader = _Reader(TrainingLog(path))
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), start=1):
                reader.read(line, number)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not number:
        raise InputError(f"{path} is empty: name the log of a training run")
    if not reader.events:
        raise InputError(
            f"{path} is no Caffe training log (nothing of a solver in its {number} lines): "
            "name the file that Caffe's messages were written to"
        )
    return reader.finish()


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines as they are, but no more than the first 64 KiB of each, so that any file can be looked at."""
    start_of_line = True
    while piece := file.readline(_LONGEST_LINE_BYTES):
        if start_of_line:
            yield piece if len(piece) < _LONGEST_LINE_BYTES else piece + b"\n"
        start_of_line = piece.endswith(b"\n")


class _Reader:
    """Puts events where they belong; keeps what one line needs to know of those before it."""

    def __init__(self, log: TrainingLog) -> None:
        self.log = log
        self.events = 0
        self._iteration: int | None = None  # the one that was logged last
        self._test: tuple[int, int] | None = None  # iteration and net of the test under way
        self._owners: dict[tuple[int | None, str], int] = {}  # index of the first element of an output
        self._just_resumed = False  # several lines may announce one restart
        self._told_of_divergence = False
        self._solver_text: list[str] | None = None

    def read(self, raw: bytes, number: int) -> None:
        line = raw.decode("utf-8", errors="replace")
        if self._solver_text is not None:
            if _PROTOTXT_LINE.match(line):
                self._solver_text.append(line)
                return
            self._end_solver_text()
        event = parse_line(line)
        if not raw.endswith(b"\n") and not isinstance(event, log_lines.Done):
            # Its number may have lost its last digits: 0.57 may have been 0.577143.
            self.log.ends_in_half_a_line = True
        elif event is not None and not self._take(event):
            self.log.unparsed_count += 1
            if len(self.log.unparsed) < _UNPARSED_KEPT:
                self.log.unparsed.append((number, line.rstrip()))

    def finish(self) -> TrainingLog:
        if self._solver_text is not None:
            self._end_solver_text()
        self._look_for_divergence(after=-1)
        return self.log

    def _take(self, event: log_lines.LogEvent) -> bool:
        """False if the event is of no use: it could not be parsed, or belongs to nothing."""
        if isinstance(event, log_lines.Unparsed):
            return False
        self.events += 1
        log = self.log
        match event:
            case log_lines.TrainOutput():
                if self._iteration is None:
                    return False
                self._record(None, log.train_outputs, self._iteration, event)
            case log_lines.TrainLoss():
                self._arrive_at(event.iteration)
                log.loss.record(event.iteration, event.loss)
            case log_lines.LearningRate():
                self._arrive_at(event.iteration)
                log.rate.record(event.iteration, event.rate)
            case log_lines.Testing():
                self._arrive_at(event.iteration)
                self._test = event.iteration, event.net
            case log_lines.TestOutput():
                if self._test is None:
                    return False
                iteration, net = self._test
                self._record(net, log.tests.setdefault(net, {}), iteration, event)
            case log_lines.Snapshot():
                log.snapshots.append(event)
            case log_lines.Resumed():
                self._resume(event)
            case log_lines.Diverged():
                log.divergences.append(Divergence(event.iteration, event.reason))
                self._told_of_divergence = True
            case log_lines.SolverParameters():
                self._solver_text = []
            case log_lines.Solving():
                log.net_name = event.net_name or None
            case log_lines.Done():
                log.done = not event.stopped_early
        return True

    def _record(
        self, net: int | None, outputs: dict[str, Series], iteration: int, output: log_lines.NetOutput
    ) -> None:
        first = self._owners.setdefault((net, output.name), output.index)
        name = output.name if output.index == first else f"{output.name}[{output.index - first}]"
        if output.weight is not None:
            self.log.losses.add(name)
        outputs.setdefault(name, Series()).record(iteration, output.value)

    def _arrive_at(self, iteration: int) -> None:
        """Follow the iteration; when it goes back, a resumed run was appended and what came after is void."""
        last, self._iteration = self._iteration, iteration
        if last is not None and iteration < last:
            self._forget_after(iteration)
            if not self._just_resumed:
                self.log.restarts.append(Restart(iteration, last))
        if self._just_resumed:
            self._complete_restart(iteration, last)
        self._just_resumed = False

    def _complete_restart(self, iteration: int, last: int | None) -> None:
        restart = self.log.restarts[-1]
        if restart.iteration is None:
            reached = last if last is not None and last > iteration else None
            self.log.restarts[-1] = Restart(iteration, reached, restart.seed)

    def _resume(self, event: log_lines.Resumed) -> None:
        restarts = self.log.restarts
        if self._just_resumed:
            told = restarts.pop()
            restart = Restart(
                event.iteration if told.iteration is None else told.iteration,
                told.reached,
                event.seed if told.seed is None else told.seed,
            )
        else:
            restart = Restart(event.iteration, None, event.seed)
        if restart.iteration is not None and self._iteration is not None:
            if self._iteration > restart.iteration:
                self._forget_after(restart.iteration)
                restart = Restart(restart.iteration, self._iteration, restart.seed)
            self._iteration = restart.iteration
        restarts.append(restart)
        self._just_resumed = True
        self._told_of_divergence = False
        self._test = None
        self.log.done = False

    def _forget_after(self, iteration: int) -> None:
        self._look_for_divergence(after=iteration)
        self._told_of_divergence = False
        for series in self.log.every_series():
            series.forget_after(iteration)
        self.log.snapshots = [
            s for s in self.log.snapshots if s.iteration is None or s.iteration <= iteration
        ]
        self.log.done = False

    def _look_for_divergence(self, after: int) -> None:
        """Note the first hopeless loss after an iteration, unless the supervisor's own line told of it."""
        if self._told_of_divergence:
            return
        loss = self.log.loss
        for place in range(bisect_right(loss.iterations, after), len(loss)):
            value = loss.values[place]
            if not isfinite(value) or value == LOSS_OF_ZERO_PROBABILITY:
                self.log.divergences.append(Divergence(loss.iterations[place], f"loss = {value:g}"))
                return

    def _end_solver_text(self) -> None:
        assert self._solver_text is not None
        text, self._solver_text = self._solver_text, None
        self.log.solver = parse_solver("".join(text))


def parse_solver(text: str) -> SolverParameter:
    """Solver parameters as a log shows them; fields and values that our proto does not know are left out."""
    solver = SolverParameter()
    try:
        text_format.Parse(text, solver, allow_unknown_field=True)
    except (text_format.ParseError, RecursionError):
        # An unknown enum value, or a text that glog cut off: take what can be taken line by line.
        solver = SolverParameter()
        depth = 0
        for line in text.splitlines():
            if not depth and ":" in line and "{" not in line:
                _merge_line(line, solver)
            depth += line.count("{") - line.count("}")
    return solver


def _merge_line(line: str, solver: SolverParameter) -> None:
    one = SolverParameter()
    try:
        text_format.Parse(line, one, allow_unknown_field=True)
    except (text_format.ParseError, RecursionError):
        return
    solver.MergeFrom(one)
