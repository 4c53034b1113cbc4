"""Files and folders that are whole or not there: write to a temporary, fsync, rename.

Who is at work on a temporary holds a lock (flock) on it, which the kernel drops when the process ends in
whatever way. So a temporary whose lock is free was left by a killed process, and is removed by the next
writer of the same target. Where a file system knows no locks (some cluster mounts), nothing of others is
removed, and nothing else changes.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from batchbrew.errors import InputError

BUILDING = ".building-"
LOCK = "lock"
LEFTOVER_FILE_SECONDS = 60  # between its making and its locking a file looks abandoned: let it grow this old
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL}


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
        _remove_files_left_by(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}{BUILDING}")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            try_lock(file.fileno())
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_directory(path.parent)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        if isinstance(error, ValueError):  # a zero byte in the name
            raise InputError(f"{path} cannot be written: {error}") from error
        raise


@contextlib.contextmanager
def building_folder(target: Path, *, many_files: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `target`; if the block ends well it becomes `target`, else it is removed.

    A folder that an earlier, killed process left behind is removed too. With `many_files` the disk is told of all of
    them at once: one by one, a million would take it an hour. Raises InputError if `target` exists already, if
    another process is building it, or if it cannot be written.
    """
    _refuse_existing(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = _take_lock_of(target)
    except OSError as error:
        raise InputError(f"{target} cannot be made: {error.strerror or error}") from error
    temporary = target.parent / f".{target.name}{BUILDING}{secrets.token_hex(4)}"
    try:
        try:
            if lock is not None:
                _remove_folders_left_by(target)
            temporary.mkdir()
        except OSError as error:
            raise InputError(f"{target} cannot be made: {error.strerror or error}") from error
        yield temporary
        _refuse_existing(target)  # made meanwhile by somebody else; an empty folder would be replaced
        try:
            _publish(temporary, target, many_files)
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            _lock_file(target).unlink(missing_ok=True)
            os.close(lock)


def remove_leftovers(target: Path) -> None:
    """Remove the temporaries of `target`, files and folders, whose writers are no longer alive."""
    if not target.parent.is_dir():
        return
    try:
        _remove_files_left_by(target)
        lock = _take_lock_of(target)
    except (InputError, OSError):  # somebody is building it, or we may not write here
        return
    if lock is not None:
        _remove_folders_left_by(target)
        _lock_file(target).unlink(missing_ok=True)
        os.close(lock)


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists already: remove it or choose another name")


def _publish(temporary: Path, target: Path, many_files: bool) -> None:
    if many_files:
        _sync_file_system(temporary)
    else:
        for path in temporary.rglob("*"):
            if path.is_dir():
                fsync_directory(path)
            elif path.is_file():
                fsync_file(path)
    fsync_directory(temporary)
    temporary.rename(target)
    fsync_directory(target.parent)


def _sync_file_system(folder: Path) -> None:
    """syncfs(2), which Python has no function for; where the C library lacks it, sync(2)."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


def _lock_file(target: Path) -> Path:
    return target.parent / f".{target.name}{BUILDING}{LOCK}"


def _take_lock_of(target: Path) -> int | None:
    """The handle that holds the one lock on building `target`; None where the file system knows no locks."""
    path = _lock_file(target)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            held = try_lock(handle)
        except BlockingIOError:
            os.close(handle)
            raise InputError(f"{target} is being built by another process: wait for it or end it") from None
        if not held:
            os.close(handle)
            path.unlink(missing_ok=True)
            return None
        # A builder that ended between our open and our lock has unlinked the file that we hold: again.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(handle)):
                return handle
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file; False where there are no locks. Raises BlockingIOError if another holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _temporaries(target: Path) -> Iterator[Path]:
    name = re.compile(re.escape(f".{target.name}{BUILDING}") + r"\w+")
    for path in target.parent.iterdir():
        if name.fullmatch(path.name) and path != _lock_file(target):
            yield path


def _remove_folders_left_by(target: Path) -> None:
    """Called with the lock on `target` held, so that no live builder has such a folder."""
    for leftover in _temporaries(target):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)


def _remove_files_left_by(target: Path) -> None:
    for leftover in _temporaries(target):
        with contextlib.suppress(OSError):  # its writer has just published or removed it, or still holds it
            if not leftover.is_file() or time.time() - leftover.stat().st_mtime < LEFTOVER_FILE_SECONDS:
                continue
            handle = os.open(leftover, os.O_RDWR | os.O_CLOEXEC)
            try:
                if try_lock(handle):
                    leftover.unlink()
            finally:
                os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def end_half_line(path: Path) -> None:
    """End the last line of a text file that a killed writer or a full disk cut, so that the next one is whole."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
            file.write(b"\n")
