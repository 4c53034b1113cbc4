"""The supervisor of a run: starts workers, publishes their snapshots, and decides what follows when one ends."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from batchbrew.atomic import end_half_line
from batchbrew.errors import BatchBrewError, EngineError, InputError
from batchbrew.glog import Severity, glog_line
from batchbrew.solver.schedule import learning_rate
from batchbrew.training.attempt import Attempt, Start
from batchbrew.training.data_order import TrainingData, training_data
from batchbrew.training.device import Device
from batchbrew.training.display import Display
from batchbrew.training.divergence import DivergenceDetector, loss_is_a_mean
from batchbrew.training.engine_process import EngineProcess, Event, LogLine
from batchbrew.training.engines import Engine
from batchbrew.training.log_lines import Testing, TestOutput, parse_line
from batchbrew.training.run_folder import RunFolder
from batchbrew.training.snapshots import BadSnapshot, NotFinite, Snapshot

# A run that diverges so soon after a snapshot was restored got it from the snapshot, not from the images since.
POISONED_WITHIN_ITERS = 20
MAX_SEED = 2**31 - 1


class Diverged(BatchBrewError):
    """Training diverged more often than it may."""


class Interrupted(BatchBrewError):
    """The user ended training before its last iteration."""


class Supervisor:
    """Trains one run to its last iteration, through as many workers as it takes."""

    def __init__(self, folder: RunFolder, engine: Engine, display: Display, *, max_restarts: int = 5) -> None:
        """`max_restarts` bounds the restarts after a divergence; a worker that fails is not restarted."""
        self._folder = folder
        self._engine = engine
        self._display = display
        self._max_restarts = max_restarts
        self._data: TrainingData | None = training_data(folder.solver, folder.working_directory)
        self._loss_is_a_mean = loss_is_a_mean(folder.solver)
        self._stops_asked = 0
        self._tested_iteration = 0

    def run(self) -> Snapshot:
        """Train until the solver's last iteration; return its snapshot.

        Raises Diverged, Interrupted, or EngineError when Caffe ended otherwise; the run can then be resumed.
        """
        restarts = 0
        previous: Attempt | None = None
        end_half_line(self._folder.log)
        with self._signals_caught(), self._folder.log.open("ab", buffering=0) as log:
            self._log = log
            while True:
                self._folder.ledger.prepare_new()
                start = self._choose_start()
                if start.snapshot is not None and start.iteration >= self._folder.solver.max_iter:
                    return start.snapshot
                attempt, process = self._begin(start, previous)
                self._watch(attempt, process)
                if attempt.finished:
                    return self._folder.ledger.good()[0]
                assert attempt.divergence is not None
                self._give_up_on(attempt)
                restarts += 1
                if restarts > self._max_restarts:
                    raise Diverged(
                        f"training diverged {restarts} times, last at iteration {attempt.iteration} "
                        f"({attempt.divergence}): lower base_lr ({self._folder.solver.base_lr:g}) in "
                        f"{self._folder.solver_file} and {self.how_to_resume()}"
                    )
                previous = attempt

    def _choose_start(self) -> Start:
        """The best place to begin, in this order of precedence.

        1. the newest snapshot that is in the ledger, is not suspect, and is still the file that was published
        2. the next older one of that kind, and so on
        3. the weights given with --weights, or the fillers, at iteration 0
        """
        for snapshot in self._folder.ledger.good():
            try:
                return Start(snapshot, self._folder.ledger.restorable_state(snapshot))
            except BadSnapshot as error:
                self._say("W", f"Snapshot of iteration {snapshot.iteration} is passed over: {error}")
                self._folder.ledger.mark_suspect(snapshot.iteration, str(error))
        return Start(None, None)

    def _begin(self, start: Start, previous: Attempt | None) -> tuple[Attempt, EngineProcess]:
        """Start a worker at `start`, with a seed that no earlier attempt of this run had."""
        folder, ledger = self._folder, self._folder.ledger
        number = ledger.attempts
        seed = (folder.settings.seed + number) % MAX_SEED
        skip = self._batches_to_skip(start, seed)
        if number:
            verb = "Restarting" if previous else "Resuming"
            self._say("W" if previous else "I", f"{verb} from iteration {start.iteration} with seed {seed}")
        if previous is None:
            self._say("I", self._how())
        ledger.begin_attempt(start.iteration, seed)
        folder.record("attempt", number=number, iteration=start.iteration, seed=seed, skipped_batches=skip)
        job = {
            "task": "train",
            "solver": str(folder.write_attempt_solver(seed)),
            "solverstate": str(start.state.absolute()) if start.state else None,
            "weights": list(folder.settings.weights) if start.state is None else [],
            "gpu": folder.settings.gpu,
            "precision": folder.settings.precision,
            "skip_batches": skip,
            "shuffle": self._order(start, seed) if folder.settings.shuffle else None,
            "snapshot": folder.solver.snapshot,
            "snapshot_prefix": str(folder.new_snapshot_prefix),
        }
        process = EngineProcess(
            self._engine, job, working_directory=folder.working_directory, inherit=[folder.lock_descriptor]
        )
        return Attempt(start, seed, skip, iteration=start.iteration), process

    def _how(self) -> str:
        settings = self._folder.settings
        return f"engine: {settings.engine}, device: {Device(settings.gpu)}, precision: {settings.precision}"

    def _order(self, start: Start, seed: int) -> int:
        """The seed of a shuffled run's order: the run's own, or, where that led into divergence, the attempt's."""
        return seed if self._folder.ledger.diverged_after(start.iteration) else self._folder.settings.seed

    def _batches_to_skip(self, start: Start, seed: int) -> int:
        batches_read = (start.snapshot.batches_read if start.snapshot else None) or 0
        if self._folder.settings.shuffle:
            return batches_read
        if self._data is None:
            return 0
        if self._folder.ledger.diverged_after(start.iteration):  # those that would follow have led there
            return self._data.batches_to_differ(batches_read, seed)
        return self._data.batches_to_resume(batches_read, seed, skipping_is_free=self._engine.skips_unread)

    def _watch(self, attempt: Attempt, process: EngineProcess) -> None:
        """Follow the worker to its end. Raises if it ended other than by finishing or by diverging."""
        try:
            for message in process.messages():
                if isinstance(message, LogLine):
                    self._log.write(message.text.encode() + b"\n")
                    self._show_line(message.text)
                elif isinstance(message, Event):
                    self._handle(attempt, message)
                self._display.tick()
                if attempt.divergence is not None or self._stops_asked > 1:
                    break
                if self._stops_asked and not attempt.asked_to_stop:
                    attempt.asked_to_stop = True
                    process.ask_to_stop()
                    self._display.note("Ending after a snapshot of this iteration; again to end at once")
        finally:
            process.kill()
        if attempt.finished or attempt.divergence is not None:
            return
        if self._stops_asked:
            self._end_interrupted(attempt)
        failure = process.failure() or "the Caffe process ended before its work was done"
        self._folder.record("failed", iteration=attempt.iteration, reason=failure)
        self._say("E", f"Stopped at iteration {attempt.iteration}: {failure}", show=False)
        raise EngineError(
            f"training stopped at iteration {attempt.iteration}: {failure}; {self._own_prototxts()}"
            f"{self.how_to_resume()}"
        )

    def _handle(self, attempt: Attempt, event: Event) -> None:
        handlers: dict[str, Callable[..., None]] = {
            "started": self._started,
            "skipping": self._skipping,
            "iteration": self._iteration,
            "last_loss": self._last_loss,
            "snapshot": self._snapshot,
            "finished": self._finished,
        }
        if event.name in handlers:
            handlers[event.name](attempt, **event.fields)

    def _started(self, attempt: Attempt, **fields: Any) -> None:
        attempt.parameters = fields["parameters"]
        if self._loss_is_a_mean:
            attempt.detector = DivergenceDetector(fields["classes"], fields["loss_weight"])
        solver = self._folder.solver
        images = (fields["batch_size"] or 0) * max(1, solver.iter_size)
        self._folder.record("started", **fields)
        self._warn_of_a_full_disk(fields["parameters"])
        self._display.started(attempt.start.iteration, solver.max_iter, images)

    def _warn_of_a_full_disk(self, parameters: int) -> None:
        """Say now, not at the first snapshot, that there is no room for one (weights and history, float32)."""
        needed = 2 * 4 * parameters
        free = shutil.disk_usage(self._folder.root).free
        if free < 2 * needed:
            self._say(
                "W", f"A snapshot takes {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free on this disk"
            )

    def _skipping(self, attempt: Attempt, *, done: int, of: int) -> None:
        self._display.status(f"reading on to batch {of} of the training data: {done}")

    def _iteration(self, attempt: Attempt, *, iteration: int, loss: str) -> None:
        attempt.iteration, attempt.loss = iteration, float(loss)
        self._display.iteration(iteration, attempt.loss, self._rate(iteration))
        attempt.divergence = attempt.detector.observe(attempt.loss)

    def _rate(self, iteration: int) -> float | None:
        """The learning rate; None for a policy that only this engine knows.

        Not pycaffe's `solver.lr`: asking for it moves a multistep solver on (sgd_solver.cpp, GetLearningRate).
        """
        try:
            return learning_rate(self._folder.solver, iteration)
        except InputError:
            return None

    def _last_loss(self, attempt: Attempt, *, loss: str) -> None:
        """The loss after the last update, which no further iteration would tell."""
        attempt.divergence = attempt.detector.observe(float(loss))

    def _snapshot(self, attempt: Attempt, *, iteration: int, model: str, state: str) -> None:
        batches_read = None
        if self._data is not None:
            iterations = iteration - attempt.start.iteration
            batches_read = attempt.batches_before + iterations * self._data.batches_per_iteration
        try:
            self._folder.ledger.publish(
                iteration,
                Path(model),
                Path(state),
                loss=attempt.loss,
                seed=attempt.seed,
                batches_read=batches_read,
                parameters=attempt.parameters,
            )
        except NotFinite as error:
            attempt.divergence = str(error)
            return
        except BadSnapshot as error:
            free = shutil.disk_usage(self._folder.root).free
            raise EngineError(
                f"the snapshot of iteration {iteration} is not whole: {error}; {free / 1e6:,.0f} MB are free on its "
                f"disk; {self.how_to_resume()}"
            ) from error
        self._folder.record("snapshot", iteration=iteration, loss=attempt.loss)
        self._display.snapshot(iteration)

    def _finished(self, attempt: Attempt, *, iteration: int) -> None:
        attempt.finished = attempt.divergence is None
        self._folder.record("finished", iteration=iteration)

    def _give_up_on(self, attempt: Attempt) -> None:
        """Note a divergence, and mark the snapshot it came from if that one is to blame."""
        reason = str(attempt.divergence)
        self._folder.record("diverged", iteration=attempt.iteration, reason=reason, seed=attempt.seed)
        self._say("W", f"Diverged at iteration {attempt.iteration}: {reason}")
        ledger, started_from = self._folder.ledger, attempt.start.snapshot
        ledger.note_divergence(attempt.start.iteration, attempt.iteration)
        good = ledger.good()
        if started_from is None or not good or good[0] != started_from:
            return  # a newer snapshot was published since: that one is tried first
        soon = attempt.iteration - started_from.iteration < POISONED_WITHIN_ITERS
        if soon or ledger.divergences_from(started_from.iteration) > 1:
            ledger.mark_suspect(
                started_from.iteration, f"diverged at iteration {attempt.iteration}: {reason}"
            )
            self._folder.record("suspect", iteration=started_from.iteration)
            self._say(
                "W", f"Snapshot of iteration {started_from.iteration} led to divergence: it is passed over"
            )

    def _end_interrupted(self, attempt: Attempt) -> None:
        newest = self._folder.ledger.good()
        at = newest[0].iteration if newest else 0
        self._folder.record("interrupted", iteration=attempt.iteration)
        raise Interrupted(
            f"training was ended at iteration {at} of {self._folder.solver.max_iter}; {self.how_to_resume()}"
        )

    def _own_prototxts(self) -> str:
        """Where to mend what was wrong from the first: in the run's copies, which a resumed run reads."""
        if self._folder.ledger.good():
            return ""
        return f"the run reads its own copies of the prototxts, in {self._folder.root}; "

    def how_to_resume(self) -> str:
        """The command that goes on with this run."""
        return f"go on with `batchbrew train --resume --run {self._folder.root}`"

    def _show_line(self, text: str) -> None:
        event = parse_line(text)
        if isinstance(event, Testing):
            self._display.status(f"testing at iteration {event.iteration}")
            self._tested_iteration = event.iteration
        elif isinstance(event, TestOutput):
            self._folder.record(
                "test", iteration=self._tested_iteration, output=event.name, value=event.value
            )  # fmt: skip
            self._display.test_output(self._tested_iteration, event.name, event.value)

    def _say(self, severity: Severity, message: str, *, show: bool = True) -> None:
        """Say something in the log, in glog's form, and on the screen."""
        line = glog_line(severity, message, when=datetime.now(), pid=os.getpid(), source="supervisor.py")
        self._log.write(line.encode() + b"\n")
        if show:
            self._display.note(message)

    @contextmanager
    def _signals_caught(self) -> Iterator[None]:
        """The first Ctrl-C, SIGTERM or SIGHUP asks for a snapshot and an end, the second ends the worker at once.

        What ignores a Ctrl-C or a hangup (nohup, `&` in a script) goes on doing so; SIGTERM is always heeded. A signal
        with a handler is no longer ignored in the worker either, which begins with the handler of the system.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stops_asked += 1  # _watch acts on it, whenever it came

        others = [signal.SIGINT, signal.SIGHUP]
        heeded = [number for number in others if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, stop) for number in [signal.SIGTERM, *heeded]}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
