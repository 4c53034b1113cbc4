"""The run folder: everything that one training reads and writes, locked by the process that trains in it."""

import json
import math
import os
import secrets
import time
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, TextIO

from batchbrew.atomic import end_half_line, try_lock, write_file
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.text import format_prototxt, read_prototxt, write_prototxt
from batchbrew.solver.precision import DEFAULT_PRECISION
from batchbrew.training.snapshots import SnapshotLedger

DEFAULT_SNAPSHOTS_PER_RUN = 20
LEAST_SNAPSHOT_INTERVAL_ITERS = 100
BESIDE_SOLVER = ("deploy.prototxt", "recipe.yaml")  # copied into the run's folder if they are there
BY_HAND = "# Run it by hand:"
LOCK_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class RunSettings:
    """What a run was begun with, and is resumed with (`run.json`).

    `working_directory` is where the paths inside the prototxts are relative to. `gpu` is a device id, or None
    for the CPU. `weights` are files to begin from by layer name, absolute. `shuffle`: the images come in an order
    that is drawn anew for each epoch. The defaults are what a run was that says nothing: older than the field.
    """

    seed: int
    gpu: int | None
    working_directory: str
    weights: tuple[str, ...] = ()
    engine: str = "bvlc"
    shuffle: bool = False
    precision: str = DEFAULT_PRECISION


class RunFolder:
    """An opened run folder, locked unless it is only looked at; use as a context manager."""

    def __init__(self, root: Path, settings: RunSettings, lock: int | None) -> None:
        """`lock` is the descriptor of the lock that `_lock` took; None: write nothing."""
        self.root = root
        self.settings = settings
        self.log = root / "train.log"
        self.solver_file = root / "solver.prototxt"
        self._lock = lock
        self._events: TextIO | None = None
        try:
            self.solver = self._read_solver()
            self.ledger = SnapshotLedger(root / "snapshots", read_only=lock is None)
            if lock is not None:
                end_half_line(root / "events.jsonl")
                self._events = (root / "events.jsonl").open("a", encoding="utf-8")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        if self._events is not None:
            self._events.close()
        if self._lock is not None:
            os.close(self._lock)

    def _read_solver(self) -> caffe_pb2.SolverParameter:
        """The run's solver; its nets and snapshots are those in this folder, wherever it was moved to."""
        solver = read_prototxt(self.solver_file, caffe_pb2.SolverParameter)
        here = self.root.resolve()
        for field in ("net", "train_net"):
            if name := getattr(solver, field):
                setattr(solver, field, str(here / Path(name).name))
        solver.test_net[:] = [str(here / Path(name).name) for name in solver.test_net]
        solver.snapshot_prefix = str(here / "snapshots" / Path(solver.snapshot_prefix).name)
        return solver

    @property
    def lock_descriptor(self) -> int:
        """The lock's file descriptor; a worker that inherits it keeps the folder locked while it lives."""
        assert self._lock is not None
        return self._lock

    @property
    def name(self) -> str:
        """The stem of the snapshots' names."""
        return Path(self.solver.snapshot_prefix).name

    @property
    def working_directory(self) -> Path:
        """Where relative paths inside the prototxts begin. Raises InputError if it is gone."""
        folder = Path(self.settings.working_directory)
        if not folder.is_dir():
            raise InputError(
                f"{folder}, where this run was begun, is gone: make it again, its paths begin there"
            )
        return folder

    @property
    def new_snapshot_prefix(self) -> Path:
        """The `snapshot_prefix` of the worker, in the folder of what is not published yet."""
        return self.ledger.new.resolve() / self.name

    def record(self, event: str, **fields: Any) -> None:
        """Append an event to `events.jsonl`, with the time in seconds since 1970; nan and inf as strings."""
        fields = {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in fields.items()
        }
        assert self._events is not None
        self._events.write(json.dumps({"time": round(time.time(), 3), "event": event, **fields}) + "\n")
        self._events.flush()

    def change(self, *, gpu: int | None, engine: str, precision: str) -> None:
        """Train on this device (a GPU's id, or None for the CPU), on this engine and so exactly from now on."""
        changed = replace(self.settings, gpu=gpu, engine=engine, precision=precision)
        if changed != self.settings:
            self.settings = changed
            _write_settings(self.root, changed)

    def write_attempt_solver(self, seed: int) -> Path:
        """Write the solver of one attempt: the run's, with its own seed, and snapshots into `.new`."""
        attempt = caffe_pb2.SolverParameter()
        attempt.CopyFrom(self.solver)
        attempt.random_seed = seed
        attempt.solver_mode = attempt.CPU if self.settings.gpu is None else attempt.GPU
        attempt.snapshot_after_train = True  # the snapshot of the last iteration is what a run is for
        attempt.snapshot_prefix = str(self.new_snapshot_prefix)
        path = self.ledger.new.resolve() / "solver.prototxt"
        write_prototxt(path, attempt)
        return path


def create_run(root: Path, solver_file: Path, settings: RunSettings) -> RunFolder:
    """Make the run folder `root` of a solver: its prototxts are copied, and name each other there.

    Raises InputError if `root` holds a run already, or the solver or one of its nets cannot be read.
    """
    _refuse_another_run(root)
    solver = read_prototxt(solver_file, caffe_pb2.SolverParameter)
    _refuse_unsupported(solver, solver_file)
    copies, net_name = _name_nets_in(root, solver, solver_file)
    stem = Path(solver.snapshot_prefix).name or net_name or solver_file.stem
    solver.snapshot_prefix = str((root / "snapshots" / stem).resolve())
    if solver.snapshot <= 0:
        solver.snapshot = max(LEAST_SNAPSHOT_INTERVAL_ITERS, -(-solver.max_iter // DEFAULT_SNAPSHOTS_PER_RUN))
    solver.snapshot_after_train = True
    solver.random_seed = settings.seed
    solver.solver_mode = solver.CPU if settings.gpu is None else solver.GPU
    if settings.gpu is not None:
        solver.device_id = settings.gpu
    for name in BESIDE_SOLVER:
        if (solver_file.parent / name).is_file():
            copies[name] = (solver_file.parent / name).read_bytes()
    root.mkdir(parents=True, exist_ok=True)
    lock = _lock(root)
    _refuse_another_run(root)  # begun by somebody else since we looked
    for name, content in copies.items():
        write_file(root / name, content)
    header = f"{BY_HAND} cd {settings.working_directory} && caffe train --solver {root.resolve()}/solver.prototxt\n"
    write_file(
        root / "solver.prototxt",
        header.encode() + _leading_comments(solver_file) + b"\n" + format_prototxt(solver).encode(),
    )
    _write_settings(root, settings)  # last: it makes the run
    return RunFolder(root, settings, lock)


def _leading_comments(solver_file: Path) -> bytes:
    """Where the solver comes from and how its numbers were worked out, in whatever encoding."""
    lines = takewhile(lambda line: line.startswith(b"#"), solver_file.read_bytes().splitlines(keepends=True))
    return b"".join(line for line in lines if not line.startswith(BY_HAND.encode()))


def _refuse_another_run(root: Path) -> None:
    if (root / "run.json").exists():
        raise InputError(
            f"{root} holds a run already: add --resume to go on with it, or choose another --run"
        )
    if (root / "snapshots" / "ledger.jsonl").exists():
        raise InputError(
            f"{root} holds the snapshots of another run, whose run.json is gone: choose another --run"
        )


def _write_settings(root: Path, settings: RunSettings) -> None:
    write_file(root / "run.json", json.dumps(asdict(settings), indent=2) + "\n")


def open_run(root: Path) -> RunFolder:
    """Open the run that was begun in `root`. Raises InputError if there is none or it is in use."""
    settings = _read_settings(root)
    return RunFolder(root, settings, _lock(root))


def look_at_run(root: Path) -> RunFolder:
    """Open a run to read from it, also while it trains. Raises InputError if there is none."""
    return RunFolder(root, _read_settings(root), lock=None)


def engine_of_run(root: Path) -> str | None:
    """The name of the engine that a run was last trained on; None if there is no run. Raises InputError if damaged."""
    return _read_settings(root).engine if (root / "run.json").exists() else None


def _read_settings(root: Path) -> RunSettings:
    path = root / "run.json"
    try:
        return _settings(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(
            f"{root} holds no run (there is no {path.name}): begin one with `batchbrew train SOLVER`"
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}): restore it, or begin a new run") from error


def _settings(fields: dict[str, Any]) -> RunSettings:
    """The settings in a `run.json`. Raises TypeError or KeyError where they are not what was written there."""
    settings = RunSettings(**{**fields, "weights": tuple(fields["weights"])})
    types = {
        "seed": int, "gpu": int | None, "working_directory": str, "engine": str, "shuffle": bool, "precision": str,
    }  # fmt: skip
    values = [(name, getattr(settings, name), type_) for name, type_ in types.items()]
    for name, value, type_ in [*values, *(("weights", path, str) for path in settings.weights)]:
        if not isinstance(value, type_):
            raise TypeError(f"{name} is {value!r}")
    return settings


def new_seed() -> int:
    """A seed for a run whose solver names none."""
    return secrets.randbelow(1_000_000) + 1


def _refuse_unsupported(solver: caffe_pb2.SolverParameter, path: Path) -> None:
    if solver.max_iter <= 0:
        raise InputError(f"{path}: max_iter is {solver.max_iter}: say how many iterations to train")
    if solver.snapshot_format != solver.BINARYPROTO:
        raise InputError(f"{path}: snapshot_format: HDF5 is not supported by a run: remove that line")
    if solver.HasField("net_param") or solver.HasField("train_net_param") or solver.test_net_param:
        raise InputError(f"{path}: a net written inside the solver is not supported: name its file in `net:`")


def _name_nets_in(
    root: Path, solver: caffe_pb2.SolverParameter, solver_file: Path
) -> tuple[dict[str, bytes], str]:
    """Have the solver name the copies of its nets in `root`.

    Returns the copies' contents by file name, and the first net's name as a file may be called.
    """
    copies: dict[str, bytes] = {}
    names: list[str] = []

    def copy_of(source: str, name: str) -> str:
        path = Path(source)
        if not path.exists() and (solver_file.parent / path.name).exists():
            raise InputError(
                f"{solver_file}: net {source!r} is not there from {Path.cwd()}: Caffe's paths are relative to where "
                f"you run; there is {solver_file.parent / path.name}"
            )
        names.append(read_prototxt(path, caffe_pb2.NetParameter).name)
        copies[name] = path.read_bytes()  # whatever encoding its comments are in
        return str((root / name).resolve())

    if solver.net:
        solver.net = copy_of(solver.net, "train_val.prototxt")
    if solver.train_net:
        solver.train_net = copy_of(solver.train_net, "train.prototxt")
    for index, source in enumerate(solver.test_net):
        solver.test_net[index] = copy_of(source, f"test_{index}.prototxt")
    if not solver.net and not solver.train_net:
        raise InputError(f'{solver_file}: it names no net: add `net: "train_val.prototxt"`')
    return copies, "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in names[0])


def _lock(root: Path) -> int:
    """Take the run's lock; a worker that is just dying may hold it for a moment longer."""
    descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            try_lock(descriptor)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise InputError(
                    f"{root} is in use by another training: wait for it or end it (fuser {root}/.lock names it)"
                ) from None
            time.sleep(0.1)
