"""The C library's allocator, told to keep the memory of large tensors for the next ones.

glibc gives what is large back to the kernel when it is freed; the next tensor is then made of fresh pages, each zeroed
again, which takes more time than many a layer. The worker of a training is told so by its environment; this tells a
process that runs already. Variables that the user has set stay as they are.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt's names for them in glibc's malloc.h
_NEVER, _NONE = -1, 0
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """For the rest of this process. Does nothing where the C library is another one."""
    if any(name in os.environ for name in _VARIABLES):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl has none, Windows no library of that kind
        return
    mallopt(_TRIM_THRESHOLD, _NEVER)
    mallopt(_MMAP_MAX, _NONE)
