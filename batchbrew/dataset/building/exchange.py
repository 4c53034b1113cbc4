"""Two folders change places, in one step where the system can."""

import ctypes
import errno
import os
import secrets
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2  # linux/fs.h
CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}


def exchange(one: Path, other: Path) -> None:
    """`one` becomes `other` and the other way round; they are on one file system. Raises OSError.

    By renameat2(2), at no moment is either missing. On file systems that lack it, some network ones, two renames
    do it: between them `other` is missing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):
        if libc.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number not in CANNOT:
            raise OSError(number, os.strerror(number), str(one), None, str(other))
    aside = one.with_name(f"{one.name}-{secrets.token_hex(4)}")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
