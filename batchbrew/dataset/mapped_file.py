"""A file mapped into memory, of which every piece is brought in before it is looked at.

Whoever touches a mapped page that the disk cannot give, or that the file has no more, ends the process (SIGBUS); and
Python's lock is held while the disk is waited for. So the kernel is asked for the pages first: that waits without the
lock, and what cannot be had is an error.
"""

import ctypes
import errno
import mmap
import os

import numpy as np

MADV_POPULATE_READ = 22  # of Linux 5.14 and later
EHWPOISON = 133
GONE = {errno.EFAULT, EHWPOISON}  # what is told then instead of SIGBUS

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class MappedFile:
    """The bytes of the file that `handle` is open on. It stays mapped as long as somebody holds a piece of it.

    Raises OSError where a file cannot be mapped, or the kernel knows no way to bring pages in safely; ValueError for
    an empty file.
    """

    def __init__(self, handle: int) -> None:
        self._bytes = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
        self._address = np.frombuffer(self._bytes, np.uint8).ctypes.data
        self._bring(0, 1)

    def piece(self, offset: int, length: int) -> memoryview:
        """Those bytes, where they lie, all of them within the file. Raises OSError if they cannot be read."""
        self._bring(offset, length)
        return self._bytes[offset : offset + length]

    def _bring(self, offset: int, length: int) -> None:
        start = offset - offset % mmap.PAGESIZE
        while _libc.madvise(self._address + start, offset + length - start, MADV_POPULATE_READ):
            code = ctypes.get_errno()
            if code in GONE:
                code = errno.EIO
            if code not in (errno.EAGAIN, errno.EINTR):
                raise OSError(code, os.strerror(code))
