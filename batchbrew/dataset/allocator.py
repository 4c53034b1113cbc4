"""The C library's allocator, told to keep the memory of pictures for the next ones.

glibc gives what is large back to the kernel when it is freed; the next picture is then made of fresh pages, each zeroed
again: a quarter of the time that a builder takes for a photograph. Only blocks and rests of some megabytes are kept, so
that memory stays bounded. Variables that the user has set stay as they are.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's names for them in glibc's malloc.h
KEPT_BLOCK_BYTES = 4 * 2**20  # a picture of 1.3 megapixels; larger ones go back
KEPT_REST_BYTES = 8 * 2**20  # of each thread
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")


def keep_freed_pictures() -> None:
    """For the rest of this process. Does nothing where the C library is another one."""
    if any(name in os.environ for name in _VARIABLES):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl has none, Windows no library of that kind
        return
    mallopt(_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)
    mallopt(_TRIM_THRESHOLD, KEPT_REST_BYTES)
