"""The state of an unfinished build: the folder TARGET.partial, beside the target.

    lock            held (flock) by who is at work on it; its process id
    plan.json       what is built of what: a build that is gone on with must be of the same
    journal.jsonl   how far it is
    lmdb/           becomes ...
    whole/          ... this when nothing is missing, which then takes the target's place in one step

In every state a killed build can be gone on with. Only `lock` is left by one that was killed before it had a plan.
"""

import contextlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from batchbrew import atomic
from batchbrew.dataset.building.exchange import exchange
from batchbrew.dataset.description import FILE_NAME
from batchbrew.dataset.shards import DATA_FILE, LOCK_FILE, UNFINISHED
from batchbrew.errors import InputError

LOCK, PLAN, JOURNAL, GROWING, WHOLE = "lock", "plan.json", "journal.jsonl", "lmdb", "whole"
LMDB_NAMES = {DATA_FILE, LOCK_FILE, FILE_NAME}
SHARD_NAME = re.compile(r"shard-\d{5}-of-\d{5}" + f"({re.escape(UNFINISHED)})?")


class Partial:
    """TARGET.partial, which this process alone is at work on."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = target.with_name(target.name + UNFINISHED)

    @property
    def journal(self) -> Path:
        """The file of `Journal`."""
        return self.folder / JOURNAL

    @property
    def growing(self) -> Path:
        """The folder that is to become the target."""
        return self.folder / GROWING

    @property
    def whole(self) -> bool:
        """Is nothing missing but the last step?"""
        return (self.folder / WHOLE).is_dir()

    def is_begun(self) -> bool:
        """Is there a build to go on with, or to drop? Raises InputError if what lies here is no build of ours."""
        if (self.folder / PLAN).exists():
            return True
        others = [name for name in _names_in(self.folder) if not _ours_without_plan(name)]
        if others:
            raise InputError(
                f"{self.folder} is in the way: it holds {others[0]!r}, which no interrupted build leaves; "
                "move it elsewhere"
            )
        return False

    def plan(self) -> dict[str, Any]:
        """What was begun here. Raises InputError if nobody can tell."""
        path = self.folder / PLAN
        try:
            plan = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(plan, dict):
                raise ValueError(plan)
        except ValueError as error:
            raise InputError(
                f"{path} makes no sense, so the build cannot be gone on with: begin anew with --force and without "
                "--resume"
            ) from error
        return plan

    def begin(self, plan: dict[str, Any]) -> None:
        """Drop what is here, and note what is begun."""
        self.clear()
        atomic.write_file(self.folder / PLAN, json.dumps(plan, indent=1) + "\n")

    def clear(self) -> None:
        """Remove everything but the lock; the plan last, since it tells that the rest is ours."""
        for path in (self.growing, *self.folder.glob(f"{WHOLE}*")):
            shutil.rmtree(path, ignore_errors=True)
        killed_in_writing = self.folder.glob(f".{PLAN}{atomic.BUILDING}*")
        for path in (*killed_in_writing, self.journal, self.folder / PLAN):
            path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Let what has grown take the target's place, in one step; what stood there is removed afterwards."""
        whole = self.folder / WHOLE
        if not whole.is_dir():
            _sync_tree(self.growing)
            self.growing.rename(whole)
            atomic.fsync_directory(self.folder)
        if self.target.exists():
            exchange(whole, self.target)
        else:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            whole.rename(self.target)
        atomic.fsync_directory(self.target.parent)
        atomic.fsync_directory(self.folder)
        self.clear()


@contextlib.contextmanager
def working_on(target: Path) -> Iterator[Partial]:
    """The one who builds `target`. Raises InputError if another process does; the folder goes if it is empty."""
    partial = Partial(target)
    if partial.folder.exists() and not partial.folder.is_dir():
        raise InputError(
            f"{partial.folder} is in the way, a file: a build is there until it is whole; move it elsewhere"
        )
    with _errors_about(target):
        handle = _lock(partial)
    try:
        yield partial
    finally:
        with contextlib.suppress(OSError):
            if _names_in(partial.folder) == [LOCK]:
                (partial.folder / LOCK).unlink()
                partial.folder.rmdir()
        os.close(handle)


def check_target(target: Path, force: bool) -> None:
    """Raises InputError where something is that may not be replaced."""
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise InputError(
            f"{target} exists already: choose another name, or replace it when the new one is whole, with --force"
        )
    if target.is_symlink() or not target.is_dir() or not _is_ours(target):
        raise InputError(f"{target} is no LMDB and is not replaced, --force or not: choose another name")
    other = _not_of_an_lmdb(target)
    if other is not None:
        raise InputError(
            f"{target} holds {other!r} besides an LMDB and is not replaced, --force or not: move that elsewhere, or "
            "choose another name"
        )


def refuse_interrupted(partial: Partial) -> NoReturn:
    """Raises InputError: a build is neither gone on with nor dropped unasked."""
    raise InputError(
        f"{partial.folder} holds an interrupted build: go on with it with --resume, or begin anew with --force"
    )


def _is_ours(folder: Path) -> bool:
    """An LMDB, a set of shards, or empty."""
    names = _names_in(folder)
    return not names or DATA_FILE in names or any(map(SHARD_NAME.fullmatch, names))


def _not_of_an_lmdb(folder: Path) -> str | None:
    """What lies in a folder besides one LMDB, or besides a set of shards; None: nothing, or it is empty."""
    names = _names_in(folder)
    if DATA_FILE in names:
        return next((name for name in names if name not in LMDB_NAMES), None)
    for name in names:
        if not SHARD_NAME.fullmatch(name):
            return name
        inner = None if name.endswith(UNFINISHED) else _not_of_an_lmdb(folder / name)
        if inner is not None:
            return f"{name}/{inner}"
    return None


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _ours_without_plan(name: str) -> bool:
    return name == LOCK or name.startswith(f".{PLAN}{atomic.BUILDING}")


def _lock(partial: Partial) -> int:
    """The handle that holds the lock. Raises InputError, OSError."""
    path = partial.folder / LOCK
    while True:
        partial.folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:  # another build ended and removed the folder
            continue
        try:
            atomic.try_lock(handle)
        except BlockingIOError:
            holder = os.read(handle, 200).decode(errors="replace").strip()
            os.close(handle)
            raise InputError(
                f"{partial.target} is being built by {holder or 'another process'}: wait for it or end it"
            ) from None
        with contextlib.suppress(FileNotFoundError):  # that build unlinked the file that we hold: again
            if os.path.samestat(path.stat(), os.fstat(handle)):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
                return handle
        os.close(handle)


@contextlib.contextmanager
def _errors_about(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be made: {error.strerror or error}") from error


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            atomic.fsync_directory(path)
        else:
            atomic.fsync_file(path)
    atomic.fsync_directory(folder)
