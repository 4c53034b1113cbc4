"""How far a long pass over images is: a bar on a terminal, a line every ten seconds elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from batchbrew.errors import printable

LINE_SECONDS = 10.0
BAR_WIDTH, SHORTEST_BAR = 40, 8  # columns of a terminal
NUMBERS_WIDTH = 71  # " 1281167/1281167 1,000 images/s, 24.0 MB/s, 1:09:41 left 123 quarantined"

Progress = Callable[[int, int, int], None]
"""Called with images done, images in all, bad ones so far."""


class Meter(Protocol):
    """A `Progress` that may be told, too, how many bytes were written."""

    def __call__(self, done: int, total: int, bad: int, written_bytes: int | None = None, /) -> None: ...


@contextlib.contextmanager
def reporting(task: str, bad_word: str = "bad", things: str = "images") -> Iterator[Meter]:
    """Yield a callback for `progress=`, which is about `things`; it writes to standard error.

    Who tells bytes tells first, before any work, what an earlier pass has left: rates are of what comes after.
    """
    task, console = printable(task), Console(stderr=True)
    if console.is_terminal:
        with _bar(console, task, bad_word, things) as meter:
            yield meter
    else:
        yield _Lines(task, bad_word, things)


class _Pace:
    """What has been done since the beginning, a second."""

    def __init__(self, things: str) -> None:
        self._things = things
        self.started = time.monotonic()
        self._first_done: int | None = None
        self._first_bytes = 0

    def texts(self, now: float, done: int, total: int, written_bytes: int | None) -> list[str]:
        """Things/s, MB/s if bytes are told, time left."""
        if self._first_done is None:
            return []
        seconds = max(now - self.started, 1e-6)
        rate = (done - self._first_done) / seconds
        texts = [f"{rate:,.0f} {self._things}/s"]
        if written_bytes is not None:
            texts.append(f"{(written_bytes - self._first_bytes) / seconds / 1e6:,.1f} MB/s")
        if rate > 0:
            texts.append(f"{_duration((total - done) / rate)} left")
        return texts

    def begin(self, now: float, done: int, written_bytes: int | None) -> None:
        """With the first call, which comes after the first image, or, if it tells bytes, before any work."""
        if self._first_done is not None:
            return
        if written_bytes is None:
            self._first_done = 0
        else:
            self.started, self._first_done, self._first_bytes = now, done, written_bytes


@contextlib.contextmanager
def _bar(console: Console, task: str, bad_word: str, things: str) -> Iterator[Meter]:
    room = console.width - NUMBERS_WIDTH
    if cell_len(task) > room:
        task = task.partition(" ")[0]  # "building"; what it is stands in the command
    bar_width = min(BAR_WIDTH, room - cell_len(task) - 1)
    columns = (
        TextColumn("{task.description}", markup=False),
        *([BarColumn(bar_width)] if bar_width >= SHORTEST_BAR else []),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[bad]}"),
    )
    pace = _Pace(things)
    with Bar(*columns, console=console) as bar:
        shown = bar.add_task(task, total=None, pace="", bad="")

        def meter(done: int, total: int, bad: int, written_bytes: int | None = None, /) -> None:
            now = time.monotonic()
            pace.begin(now, done, written_bytes)
            text = ", ".join(pace.texts(now, done, total, written_bytes))
            note = f"{bad:,} {bad_word}" if bad else ""
            bar.update(shown, completed=done, total=total, pace=text, bad=note)

        yield meter


class _Lines:
    """For logs: a plain line now and then."""

    def __init__(self, task: str, bad_word: str, things: str) -> None:
        self._task, self._bad_word, self._things = task, bad_word, things
        self._pace = _Pace(things)
        self._shown = self._pace.started

    def __call__(self, done: int, total: int, bad: int, written_bytes: int | None = None, /) -> None:
        now = time.monotonic()
        self._pace.begin(now, done, written_bytes)
        if now - self._shown < LINE_SECONDS:
            return
        self._shown = now
        parts = [f"{done:,} of {total:,} {self._things}", *self._pace.texts(now, done, total, written_bytes)]
        if bad:
            parts.append(f"{bad:,} {self._bad_word}")
        print(f"{self._task}: {', '.join(parts)}", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
