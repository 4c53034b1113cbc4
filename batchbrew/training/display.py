"""What a person sees of a training: iteration, loss, learning rate, images a second, time left, last test."""

import contextlib
import math
import time
from collections import deque
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

PLAIN_LINE_EVERY_SECONDS = 10.0
SPEED_WINDOW_SECONDS = 30.0
LOSS_SMOOTHING = 0.95


class _State(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The line that the display composed last."""
        return Text(str(task.fields.get("state", "")))


class Display:
    """A live line on a terminal; elsewhere a plain line every ten seconds. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        """Nothing is shown before `started`."""
        self._console = console
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            _State(),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=4,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, state="starting the engine", visible=True)
        self._max_iter = 0
        self._images_per_iteration = 0
        self._times: deque[tuple[float, int]] = deque()
        self._loss = math.nan
        self._rate: float | None = None
        self._iteration = 0
        self._status = ""
        self._tests: dict[str, float] = {}
        self._last_plain_line = time.monotonic()

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, SystemExit):
            self._progress.stop()

    def started(self, iteration: int, max_iter: int, images_per_iteration: int) -> None:
        """An attempt begins at `iteration` (0-based) of `max_iter`."""
        self._max_iter, self._images_per_iteration = max_iter, images_per_iteration
        self._times.clear()
        self._loss = math.nan
        self._iteration = iteration
        self._progress.update(self._task, total=max_iter, completed=iteration)

    def iteration(self, iteration: int, loss: float, rate: float | None) -> None:
        """The loss of an iteration; the number shown is smoothed, so that one can see where it goes."""
        now = time.monotonic()
        self._times.append((now, iteration))
        while now - self._times[0][0] > SPEED_WINDOW_SECONDS:
            self._times.popleft()
        smooth = LOSS_SMOOTHING if math.isfinite(self._loss) else 0.0
        self._loss = smooth * (self._loss if smooth else 0.0) + (1 - smooth) * loss
        self._iteration, self._rate, self._status = iteration + 1, rate, ""

    def status(self, what: str) -> None:
        """What is done between iterations."""
        if self._status.partition(" at ")[0] != what.partition(" at ")[0] and "test" in what:
            self._times.clear()  # a test's time is not the training's
        self._status = what

    def test_output(self, iteration: int, name: str, value: float) -> None:
        """A number that a test gave."""
        self._tests[name] = value
        self.note(f"Test at iteration {iteration}: {name} = {value:.4g}")

    def snapshot(self, iteration: int) -> None:
        """A snapshot was checked and published."""
        self.note(f"Snapshot of iteration {iteration} is whole and good")

    def note(self, message: str) -> None:
        """A line that stays on the screen."""
        self._print(message)

    def _print(self, message: str) -> None:
        # The terminal, or who read our output (rich raises SystemExit then), is gone; training is not.
        with contextlib.suppress(OSError, SystemExit):
            self._console.print(Text(message))

    def tick(self) -> None:
        """Bring the screen up to date; called often."""
        now = time.monotonic()
        if self._console.is_terminal:
            self._progress.update(self._task, completed=self._iteration, state=self._line())
        elif now - self._last_plain_line > PLAIN_LINE_EVERY_SECONDS:
            self._last_plain_line = now
            self._print(self._line())

    def _line(self) -> str:
        if not self._max_iter:
            return self._status or "starting the engine"
        parts = [f"iteration {self._iteration:,}/{self._max_iter:,}"]
        if self._status:
            parts.append(self._status)
        elif math.isfinite(self._loss):
            parts.append(f"loss {self._loss:.3f}")
        if self._rate is not None:
            parts.append(f"lr {self._rate:.3g}")
        if speed := self._iterations_per_second():
            parts.append(f"{speed * self._images_per_iteration:.3g} images/s")
            parts.append(f"{_duration((self._max_iter - self._iteration) / speed)} left")
        return "  ".join(parts)

    def _iterations_per_second(self) -> float | None:
        if len(self._times) < 2:
            return None
        (begin, first), (end, last) = self._times[0], self._times[-1]
        return (last - first) / (end - begin) if end > begin and last > first else None


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes}:{seconds:02d}"
