"""A worker process as the supervisor sees it: a stream of events and log lines, and an end that is explained."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from batchbrew.errors import EngineError
from batchbrew.training.engines import INSTALL_HINT, Engine

WORKER = Path(__file__).with_name("worker.py")
Job = dict[str, Any]

# What Caffe says when it gives up (a part of its line), and what the user can do about it.
REMEDIES = (
    ("Cannot use GPU in CPU-only Caffe", "this Caffe has no GPU support: add --cpu, or name another Caffe"),
    ("PyTorch finds no CUDA GPU", "on the command line: --cpu"),
    ("set_mode_gpu: there is no GPU", "choose another with --gpu"),
    ("out of memory", "the GPU's memory is full: a smaller device batch with a larger iter_size needs less"),
    (
        "Cannot copy param",
        "these weights belong to another network: rename the layer, or use the right weights",
    ),
    (
        "Incompatible number of blobs",
        "these weights belong to another network, or to a layer with another bias_term",
    ),
    ("pycaffe cannot be imported", INSTALL_HINT),
    ("SyntaxError", f"Python 3.6 or newer is needed: {INSTALL_HINT}"),
    ("mdb_status == 0", "an LMDB cannot be opened: look at it with `batchbrew lmdb info`"),
    ("No space left", "the disk is full"),
    ("Check failed: proto.SerializeToOstream", "the snapshot could not be written: is the disk full?"),
)

# Caffe's last line before it aborts, and the last of a traceback of our own engine's errors.
FATAL = re.compile(r"F\d{4}.*?\] |batchbrew\.[\w.]+Error: ")


@dataclass(frozen=True)
class Event:
    """Something the worker reported; `fields` holds what came with it."""

    name: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class LogLine:
    """A line that Caffe wrote to its log, without its line end."""

    text: str


class EngineProcess:
    """A running worker. Iterate over `messages()` until it ends, then ask `failure()`."""

    def __init__(
        self,
        engine: Engine,
        job: Job,
        *,
        working_directory: Path | None = None,
        inherit: Sequence[int] = (),
    ) -> None:
        """Start the worker for `job`.

        The descriptors in `inherit` stay open in it (the lock of a run folder, so that the lock is held as
        long as either process lives). Must be called in the main thread: the worker dies with the thread
        that started it.
        """
        self._messages: queue.Queue[Event | LogLine | None] = queue.Queue()
        self._who = "Caffe" if engine.name == "bvlc" else "the torch engine"
        self._fatal: str | None = None
        self._tail: list[str] = []
        self._worker_pid: int | None = None  # not the started process's where that is a script around Python
        read_end, write_end = os.pipe()
        job = {**job, "events_descriptor": write_end, "supervisor_pid": os.getpid()}
        try:
            self._process = subprocess.Popen(
                [*engine.command, str(WORKER)],
                cwd=working_directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[write_end, *inherit],
                env={**os.environ, **engine.environment, "GLOG_logtostderr": "1", "GLOG_minloglevel": "0"},
                start_new_session=True,  # Ctrl-C is the supervisor's; it passes it on in its own way
            )
        except OSError as error:
            os.close(read_end)
            raise EngineError(
                f"{engine.command[0]} cannot be run ({error.strerror}): {engine.remedy}"
            ) from error
        finally:
            os.close(write_end)
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(json.dumps(job).encode())
        self._readers = [
            threading.Thread(target=self._read_events, args=(os.fdopen(read_end, "rb"),), daemon=True),
            threading.Thread(target=self._read_log, args=(self._process.stdout,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def messages(self, *, timeout_seconds: float = 0.5) -> Iterator[Event | LogLine | None]:
        """Yield what the worker says, in its order within events and within log lines, until it ended.

        Yields None whenever nothing came for `timeout_seconds`, so that the caller can look at the clock.
        """
        open_streams = len(self._readers)
        while open_streams:
            try:
                message = self._messages.get(timeout=timeout_seconds)
            except queue.Empty:
                self._end_what_it_left()
                yield None
                continue
            if message is None:
                open_streams -= 1
            else:
                yield message
        self._process.wait()

    def _end_what_it_left(self) -> None:
        """End the processes that an ended worker started and left (a Python layer does that): they hold its streams."""
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:  # and still waited for, so that no other group can have its id
                os.killpg(self._process.pid, signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """Ask a training worker to take a snapshot after the current iteration and end."""
        if self._process.poll() is None:
            os.kill(self._worker_pid or self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the worker now; what it was writing is not whole."""
        if self._process.poll() is None:  # so its id, and that of its group, is still its own
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def failure(self) -> str | None:
        """Why the ended worker did not do its job, in one line with a remedy; None if it did."""
        status = self._process.returncode
        if status == 0:
            return None
        if self._fatal is not None:
            return f"{self._who} gave up: {_with_remedy(self._fatal)}"
        if status == -signal.SIGKILL:
            return f"the {self._process_called} was killed (signal 9); if nobody did, the machine ran out of memory"
        if status < 0:
            name = signal.Signals(-status).name
            return f"the {self._process_called} was ended by {name}; its last words: {self._last_words()}"
        last_words = _with_remedy(self._last_words())
        return f"the {self._process_called} failed with status {status}; its last words: {last_words}"

    @property
    def _process_called(self) -> str:
        return f"{self._who.removeprefix('the ')} process"

    def _last_words(self) -> str:
        # What a Python layer dies of in its set-up stands above the traceback that ends in Boost's line.
        words = [line for line in self._tail if "returned NULL without setting an error" not in line]
        said = [line for line in words if line.strip() and not line.startswith((" ", "Traceback"))]
        return said[-1].strip() if said else "none"

    def _read_events(self, stream: IO[bytes]) -> None:
        with self._ends_with(stream):
            for line in stream:
                if not line.endswith(b"\n"):
                    break  # the worker was killed in the middle of it
                fields = json.loads(line)
                self._worker_pid = fields.get("pid", self._worker_pid)
                self._messages.put(Event(fields.pop("event"), fields))

    def _read_log(self, stream: IO[bytes]) -> None:
        with self._ends_with(stream):
            for raw in stream:
                text = raw.decode("utf-8", "replace").rstrip("\n")
                if self._fatal is None and (fatal := FATAL.match(text)):
                    self._fatal = text[fatal.end() :]
                self._tail = [*self._tail[-19:], text]
                self._messages.put(LogLine(text))

    @contextlib.contextmanager
    def _ends_with(self, stream: IO[bytes]) -> Iterator[None]:
        """Close the stream and say that it ended, whatever happens: who waits for messages must not wait forever."""
        try:
            with stream:
                yield
        finally:
            self._messages.put(None)


def _with_remedy(fatal: str) -> str:
    for part, remedy in REMEDIES:
        if part in fatal:
            return f"{fatal.strip()} ({remedy})"
    return fatal.strip()
