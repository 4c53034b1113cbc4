"""A new LMDB in the place of an old one: the old one goes when the new one is whole."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import lmdb

from batchbrew import atomic
from batchbrew.dataset.building.exchange import exchange
from batchbrew.dataset.building.partial import check_target
from batchbrew.errors import InputError

MIB = 2**20


@contextlib.contextmanager
def new_lmdb(target: Path, *, force: bool, read: Sequence[Path], needed_bytes: int) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` if the block ends well.

    With `force` it may take the place of an LMDB. Raises InputError if `target` exists otherwise, has to do with one
    of the data sets that are `read`, if less than `needed_bytes` are free there, or it cannot be written.
    """
    check_target(target, force)
    for path in read:
        _refuse_entanglement(target, path)
    _check_room(target, needed_bytes)
    replaced = target.exists()
    beside = target.with_name(f".{target.name}.new") if replaced else target
    if replaced:
        shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed when it was all but done
    with writing(target):
        with atomic.building_folder(beside) as folder:
            yield folder
        if replaced:
            exchange(beside, target)
            atomic.fsync_directory(target.parent)
            shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """What LMDB or the system say when the disk is full becomes an InputError."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        # LMDB reports a write that ended early as "Input/output error", so the free space is worth telling.
        raise InputError(
            f"{out} cannot be written: {error} ({_free_text(out)}); make room or choose another disk"
        ) from error


def _refuse_entanglement(target: Path, read: Path) -> None:
    new, old = target.resolve(), read.resolve()
    if new == old or new in old.parents or old in new.parents:
        raise InputError(
            f"{target} cannot be written, as {read} is read: choose another folder for the result"
        )


def _check_room(target: Path, needed_bytes: int) -> None:
    free = _free(target)
    if free is not None and free < needed_bytes:
        raise InputError(
            f"{target} needs {needed_bytes / MIB:,.0f} MiB, and {free / MIB:,.0f} MiB are free there: make room or "
            "choose another disk"
        )


def _free(target: Path) -> int | None:
    """Bytes; None where the file system does not answer."""
    folder = next((parent for parent in target.absolute().parents if parent.is_dir()), None)
    try:
        return None if folder is None else shutil.disk_usage(os.fspath(folder)).free
    except OSError:
        return None


def _free_text(target: Path) -> str:
    free = _free(target)
    return "its file system does not answer" if free is None else f"{free / MIB:,.0f} MiB are free there"
