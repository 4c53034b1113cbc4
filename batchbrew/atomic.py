"""Files and folders that are whole or not there: write to a temporary, fsync, rename."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from batchbrew.errors import InputError

BUILDING = ".building-"


def fsync_directory(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    """Make what was written to `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` in one step; its folder is made if need be.

    Raises InputError with the path and the system's reason when it cannot be written (a full disk, say);
    what stood at `path` is then untouched.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}{BUILDING}")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_directory(path.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def building_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; when the block ends well it becomes `target`, else it is removed.

    A folder that an earlier, killed process left behind is removed too. Raises InputError if `target`
    exists already or its parent cannot be written.
    """
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists already: remove it or choose another name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        temporary = target.parent / f".{target.name}{BUILDING}{os.getpid()}"
        temporary.mkdir()
    except OSError as error:
        raise InputError(f"{target} cannot be made: {error.strerror or error}") from error
    try:
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                fsync_file(path)
        fsync_directory(temporary)
        temporary.rename(target)
        fsync_directory(target.parent)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Remove the temporary folders of `target` whose builders are no longer alive."""
    for leftover in target.parent.glob(f".{target.name}{BUILDING}*"):
        builder = leftover.name.rpartition("-")[2]
        if builder.isdigit() and Path(f"/proc/{builder}").exists():
            continue
        shutil.rmtree(leftover, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
