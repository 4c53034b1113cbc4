"""How far a long pass over images is: a bar on a terminal, a line every ten seconds elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batchbrew.dataset import writer

LINE_SECONDS = 10.0


@contextlib.contextmanager
def reporting(task: str) -> Iterator[writer.Progress]:
    """Yield a callback for `progress=`; it writes to standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console, task) as callback:
            yield callback
    else:
        yield _Lines(task)


@contextlib.contextmanager
def _bar(console: Console, task: str) -> Iterator[writer.Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[bad]}"),
    )
    with Progress(*columns, console=console) as bar:
        shown = bar.add_task(task, total=None, rate="", bad="")
        started = time.monotonic()

        def callback(done: int, total: int, bad: int) -> None:
            rate = done / max(time.monotonic() - started, 1e-6)
            note = f"{bad} bad" if bad else ""
            bar.update(shown, completed=done, total=total, rate=f"{rate:,.0f} images/s", bad=note)

        yield callback


class _Lines:
    """For logs: a plain line now and then."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._started = self._shown = time.monotonic()

    def __call__(self, done: int, total: int, bad: int) -> None:
        now = time.monotonic()
        if now - self._shown < LINE_SECONDS:
            return
        self._shown = now
        rate = done / (now - self._started)
        minutes, seconds = divmod(round((total - done) / rate), 60)
        left = f"{minutes}:{seconds:02d} left" + (f", {bad} bad" if bad else "")
        line = f"{self._task}: {done:,} of {total:,} images, {rate:,.0f} images/s, {left}"
        print(line, file=sys.stderr, flush=True)
