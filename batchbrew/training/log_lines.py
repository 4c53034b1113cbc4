"""What each line of a Caffe training log says: a line in, a typed event (or None) out.

Line shapes are those of BVLC Caffe from 2014 to 1.0 and of NVCaffe 0.15 to 0.17 (docs/logs.md lists them).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from batchbrew.glog import rank_and_message


@dataclass(frozen=True, slots=True)
class TrainLoss:
    """The loss of one iteration, or its mean over `average_loss` iterations."""

    iteration: int
    loss: float
    iters_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class LearningRate:
    iteration: int
    rate: float


@dataclass(frozen=True, slots=True)
class NetOutput:
    """One number of an output blob; `weight` is the loss weight, None where the blob is no loss."""

    index: int
    name: str
    value: float
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class TrainOutput(NetOutput):
    """An output of the training net, of the iteration logged last."""


@dataclass(frozen=True, slots=True)
class TestOutput(NetOutput):
    """An output of the test net logged last, the mean over `test_iter` batches."""


@dataclass(frozen=True, slots=True)
class Testing:
    """A test of net `net` begins; its outputs follow."""

    iteration: int
    net: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file about to be written; `iteration` is read off its name."""

    path: str
    is_solver_state: bool
    iteration: int | None


@dataclass(frozen=True, slots=True)
class SolverParameters:
    """The solver's parameters follow as prototxt, up to the next line with a prefix."""


@dataclass(frozen=True, slots=True)
class Solving:
    net_name: str


@dataclass(frozen=True, slots=True)
class Done:
    stopped_early: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """Training goes on from a snapshot: from the iteration given, or the one in the name of `path`."""

    iteration: int | None
    path: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Diverged:
    """Our supervisor gave this run up."""

    iteration: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A line that begins like one of the above and goes on otherwise."""

    message: str


LogEvent = (
    TrainLoss | LearningRate | TrainOutput | TestOutput | Testing | Snapshot | SolverParameters | Solving
    | Done | Resumed | Diverged | Unparsed
)  # fmt: skip

# 18 digits, so that an iteration always fits 64 bits. What follows ", " after a loss or a rate is of NVCaffe
# ("m = 0.9, wd = 0.0005, gs = 1") or of other forks ("remaining 3 hours and 5 minutes").
_LOSS = re.compile(r"Iteration (\d{1,18})(?: \((.*?)\))?, loss = ([^\s,]+)(?:, .*)?$")
_SPEED = re.compile(r"(\S+) iter/s")
_RATE = re.compile(r"Iteration (\d{1,18}), lr = ([^\s,]+)(?:, .*)?$")
_TESTING = re.compile(r"Iteration (\d{1,18}), Testing net(?: \(#(\d{1,9})\))?$")
_OUTPUT = re.compile(r"T\w+ net output #(\d{1,9}): (.+?) = (\S+)(?: \(\* (\S+) = \S+ loss\))?$")
_SCORE = re.compile(r"Test score #(\d{1,9}): (\S+)$")
_SNAPSHOT = re.compile(r"Snapshotting (solver state )?to (?:(?:binary proto|HDF5) file )?(\S.*)$")
_ITERATION_OF_FILE = re.compile(r"_iter_(\d{1,18})(?:\.(?:caffemodel|solverstate)(?:\.h5)?)?$")
_OURS = re.compile(r"Re(?:start|sum)ing from iteration (\d{1,18})(?: with seed (-?\d{1,20}))?$")
_DIVERGED = re.compile(r"Diverged at iteration (\d{1,18}): (.+)$")
_RESTORING = "Restoring previous solver status"
_RANK_IN_MESSAGE = re.compile(r"\[(\d{1,9})\] (?=Iteration )")
_NAN = re.compile(r"[+-]?(?:nan(?:\(\w*\))?|1\.#(?:[qs]?nan|ind)\d*)$")
_WINDOWS_INF = re.compile(r"([+-]?)1\.#inf\d*$")


def parse_line(line: str) -> LogEvent | None:
    """The event a line reports; None for all other lines, and for those of MPI ranks other than 0."""
    rank, message = rank_and_message(line)
    return None if rank else parse_message(message)


def parse_message(message: str) -> LogEvent | None:
    """`parse_line` for what comes after the prefix."""
    message = message.strip()
    if message.startswith("[") and (rank := _RANK_IN_MESSAGE.match(message)):
        if int(rank[1]):
            return None
        message = message[rank.end() :]
    reader = _READERS.get(message.partition(" ")[0])
    if reader is None:
        return None
    try:
        return reader(message)
    except ValueError:
        return Unparsed(message)


def parse_number(text: str) -> float:
    """A number as any C library prints it: `nan`, `-nan`, `nan(ind)`, `1.#QNAN`, `-1.#IND`, `1.#INF`, ..."""
    if text[-1:].isdigit() and text.isascii() and "_" not in text and "#" not in text:
        return float(text)
    plain = text.lower()
    if _NAN.match(plain):
        return float("nan")
    if match := _WINDOWS_INF.match(plain):
        return float(match[1] + "inf")
    if "_" in plain:  # Python would read 1_000
        raise ValueError(f"not a number: {text}")
    return float(plain)


def _iteration(message: str) -> LogEvent:
    if match := _LOSS.match(message):
        return TrainLoss(int(match[1]), parse_number(match[3]), _speed(match[2]))
    if match := _RATE.match(message):
        return LearningRate(int(match[1]), parse_number(match[2]))
    if match := _TESTING.match(message):
        return Testing(int(match[1]), int(match[2] or 0))
    return Unparsed(message)


def _speed(timing: str | None) -> float | None:
    # Iterations 0 and 1 of NVCaffe have "(3.89 s)"; a speed is never worth losing a loss for.
    match = _SPEED.match(timing or "")
    try:
        return parse_number(match[1]) if match else None
    except ValueError:
        return None


def _train(message: str) -> LogEvent | None:
    if not message.startswith("Train net output"):
        return None
    if match := _OUTPUT.match(message):
        return TrainOutput(*_output(match))
    return Unparsed(message)


def _test(message: str) -> LogEvent | None:
    if not message.startswith(("Test net output", "Test score")):
        return None
    if match := _OUTPUT.match(message):
        return TestOutput(*_output(match))
    if match := _SCORE.match(message):  # Caffe of 2014 did not say which output it was
        return TestOutput(int(match[1]), f"score {match[1]}", parse_number(match[2]))
    return Unparsed(message)


def _output(match: re.Match[str]) -> tuple[int, str, float, float | None]:
    weight = parse_number(match[4]) if match[4] else None
    return int(match[1]), match[2], parse_number(match[3]), weight


def _snapshotting(message: str) -> LogEvent:
    if match := _SNAPSHOT.match(message):
        return Snapshot(match[2], bool(match[1]), _iteration_of_file(match[2]))
    return Unparsed(message)


def _iteration_of_file(path: str) -> int | None:
    match = _ITERATION_OF_FILE.search(path)
    return int(match[1]) if match else None


def _restoring(message: str) -> LogEvent | None:
    if not message.startswith(_RESTORING):
        return None
    path = message[len(_RESTORING) :].removeprefix(" from ").strip() or None
    return Resumed(_iteration_of_file(path) if path else None, path)


def _resuming(message: str) -> LogEvent | None:
    """Ours, or `Resuming from PATH` of `caffe train --snapshot`.

    Data layers say `Restarting data prefetching from start.`, which is neither.
    """
    word, _, source = message.partition(" from ")
    if match := _OURS.match(message):
        return Resumed(int(match[1]), None, int(match[2]) if match[2] else None)
    if source.startswith("iteration "):
        return Unparsed(message)
    if word != "Resuming":
        return None
    return Resumed(_iteration_of_file(source), source) if source.strip() else Unparsed(message)


def _diverged(message: str) -> LogEvent:
    match = _DIVERGED.match(message)
    return Diverged(int(match[1]), match[2]) if match else Unparsed(message)


def _initializing(message: str) -> LogEvent | None:
    return SolverParameters() if message == "Initializing solver from parameters:" else None


def _solving(message: str) -> LogEvent:
    return Solving(message.removeprefix("Solving").strip())


def _optimization(message: str) -> LogEvent:
    if message in ("Optimization Done.", "Optimization stopped early."):
        return Done(stopped_early=message.endswith("early."))
    return Unparsed(message)


_READERS: dict[str, Callable[[str], LogEvent | None]] = {
    "Iteration": _iteration,
    "Train": _train,
    "Test": _test,
    "Snapshotting": _snapshotting,
    "Restoring": _restoring,
    "Resuming": _resuming,
    "Restarting": _resuming,
    "Diverged": _diverged,
    "Initializing": _initializing,
    "Solving": _solving,
    "Optimization": _optimization,
}
