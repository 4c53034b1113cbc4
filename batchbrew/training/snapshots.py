"""The snapshots of a run and the ledger that says which of them are whole and known good.

Caffe writes a snapshot in place, in two files, whatever its weights hold. Here the worker writes into
`snapshots/.new/`; a pair is published (moved to `snapshots/`, then written down in `ledger.jsonl`) only when
both files parse, every number in them is finite, and training had not diverged when it was taken. What is not
in the ledger does not count. A pair that led straight into divergence is marked suspect and passed over.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from batchbrew.atomic import fsync_directory, fsync_file, write_file
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array


class BadSnapshot(InputError):
    """A snapshot that must not be restored from."""


class NotFinite(BadSnapshot):
    """A snapshot that was taken after training had diverged."""


@dataclass(frozen=True)
class Snapshot:
    """A published pair; files are named relative to the snapshots folder.

    `batches_read` counts the batches of the training data since record 0 (None where that is unknown).
    """

    iteration: int
    model: str
    state: str
    model_sha256: str
    state_sha256: str
    loss: float
    seed: int
    batches_read: int | None = None


class SnapshotLedger:
    """The published snapshots of one run."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Read the ledger of `folder`, which is made if it is not there. A line cut short is dropped.

        With `read_only` nothing is written, so that one can look while another process trains.
        """
        self.folder = folder
        self.new = folder / ".new"
        self._path = folder / "ledger.jsonl"
        self._snapshots: dict[int, Snapshot] = {}
        self._suspects: dict[int, str] = {}
        self._divergences: list[tuple[int, int]] = []  # where the attempt began, where it diverged
        self.attempts = 0
        if not read_only:
            folder.mkdir(parents=True, exist_ok=True)
        self._read(mend=not read_only)

    def good(self) -> list[Snapshot]:
        """The snapshots that may be restored from, newest first."""
        iterations = sorted(self._snapshots.keys() - self._suspects.keys(), reverse=True)
        return [self._snapshots[iteration] for iteration in iterations]

    def prepare_new(self) -> None:
        """Empty the folder into which the worker writes; half-written files of a killed worker go."""
        shutil.rmtree(self.new, ignore_errors=True)
        self.new.mkdir(parents=True)

    def publish(
        self, iteration: int, model: Path, state: Path, *, loss: float, seed: int, batches_read: int | None,
        parameters: int | None = None,
    ) -> Snapshot:  # fmt: skip
        """Check the pair that the worker wrote, move it to its place and write it down.

        `parameters`, where known, is how many numbers the model must hold.
        Raises NotFinite if a number in it is not finite, BadSnapshot if it is not whole or of another iteration.
        """
        check_pair(model, state, iteration, parameters)
        final_model, final_state = self.folder / model.name, self.folder / state.name
        set_learned_net(state, final_model)
        snapshot = Snapshot(
            iteration, model.name, state.name, sha256(model), sha256(state), loss, seed, batches_read
        )  # fmt: skip
        for source, target in ((model, final_model), (state, final_state)):
            fsync_file(source)
            source.replace(target)
        fsync_directory(self.folder)
        self._append({"snapshot": asdict(snapshot)})
        return snapshot

    def begin_attempt(self, iteration: int, seed: int) -> None:
        """Write down that training begins, or goes on, at `iteration`, so that no seed is used twice."""
        self._append({"attempt": {"iteration": iteration, "seed": seed}})

    def mark_suspect(self, iteration: int, reason: str) -> None:
        """Never restore from the snapshot of `iteration` again, until it is taken anew."""
        self._append({"suspect": {"iteration": iteration, "reason": reason}})

    def note_divergence(self, began: int, iteration: int) -> None:
        """Write down that an attempt which began at `began` diverged at `iteration`."""
        self._append({"divergence": {"began": began, "iteration": iteration}})

    def diverged_after(self, iteration: int) -> bool:
        """Whether an attempt diverged at or after `iteration`, so that the same images must not follow again."""
        return any(diverged >= iteration for _, diverged in self._divergences)

    def divergences_from(self, iteration: int) -> int:
        """How many attempts that began at the snapshot of `iteration`, as it is now, diverged."""
        return sum(began == iteration for began, _ in self._divergences)

    def restorable_state(self, snapshot: Snapshot) -> Path:
        """The `.solverstate` to restore `snapshot` from; its `learned_net` is made to point beside it.

        Raises BadSnapshot if the files are gone or are not those that were published.
        """
        model, state = self.folder / snapshot.model, self.folder / snapshot.state
        for path, digest in ((model, snapshot.model_sha256), (state, snapshot.state_sha256)):
            if not path.is_file():
                raise BadSnapshot(f"{path} is gone")
            if sha256(path) != digest:
                raise BadSnapshot(f"{path} is not the file that was published (its SHA-256 differs)")
        if read_binary(state, caffe_pb2.SolverState).learned_net == str(model.resolve()):
            return state
        # The run folder was moved or copied; the published file stays as it is.
        self.new.mkdir(parents=True, exist_ok=True)
        moved = self.new / f"moved_{snapshot.state}"
        shutil.copyfile(state, moved)
        set_learned_net(moved, model)
        return moved

    def _read(self, *, mend: bool) -> None:
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if mend and whole != content:
            write_file(self._path, whole)
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                self._note(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise InputError(
                    f"{self._path}:{number} is not a line of a snapshot ledger ({error}): mend or remove that line"
                ) from error

    def _note(self, entry: dict[str, dict[str, object]]) -> None:
        if "snapshot" in entry:
            snapshot = Snapshot(**entry["snapshot"])  # type: ignore[arg-type]
            self._snapshots[snapshot.iteration] = snapshot
            self._suspects.pop(snapshot.iteration, None)
            self._divergences = [each for each in self._divergences if each[0] != snapshot.iteration]
        elif "attempt" in entry:
            self.attempts += 1
        elif "divergence" in entry:
            divergence = entry["divergence"]
            self._divergences.append((int(str(divergence["began"])), int(str(divergence["iteration"]))))
        else:
            self._suspects[int(str(entry["suspect"]["iteration"]))] = str(entry["suspect"]["reason"])

    def _append(self, entry: dict[str, dict[str, object]]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._note(entry)


def check_pair(model: Path, state: Path, iteration: int, parameters: int | None = None) -> None:
    """Raise BadSnapshot (NotFinite) unless both files are whole and finite and the state is that of `iteration`.

    A file that was cut between two fields is valid Protocol Buffers. So the model's numbers are counted, and the
    state must hold what Caffe writes last into it.
    """
    try:
        solver_state = read_binary(state, caffe_pb2.SolverState)
        net = read_binary(model, caffe_pb2.NetParameter)
        if solver_state.iter != iteration:
            raise BadSnapshot(f"{state} is of iteration {solver_state.iter}, not {iteration}")
        if not solver_state.HasField("current_step"):
            raise BadSnapshot(f"{state} is cut short: it holds no current_step")
        blobs = [(layer.name, blob) for layer in net.layer for blob in layer.blobs]
        found = sum(len(blob.data) + len(blob.double_data) for _, blob in blobs)
        if parameters is not None and found != parameters:
            raise BadSnapshot(f"{model} is cut short: it holds {found:,} of {parameters:,} numbers")
        blobs += [("the solver's history", blob) for blob in solver_state.history]
        for owner, blob in blobs:
            if not np.isfinite(blob_array(blob)).all():
                raise NotFinite(f"{model} holds nan or inf in {owner}")
    except BadSnapshot:
        raise
    except InputError as error:
        raise BadSnapshot(str(error)) from error


def set_learned_net(state: Path, model: Path) -> None:
    """Have the `.solverstate` name `model` as its weights (absolute, so that any working directory will do).

    Appends the field: in Protocol Buffers the last value of a singular field holds, and Caffe reads with
    the C++ parser. So a state of hundreds of megabytes need not be written again.
    """
    field = caffe_pb2.SolverState(learned_net=str(model.resolve())).SerializeToString()
    with state.open("ab") as file:
        file.write(field)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
