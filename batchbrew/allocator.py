"""The C library's allocator, told to keep memory that is freed for what is made next.

glibc gives what is large back to the kernel when it is freed; the next picture or tensor is then made of fresh pages,
each zeroed again: a quarter of the time that a builder takes for a photograph, and more than many a layer takes.
The worker of a training is told so by its environment; these tell a process that runs already. Variables that the user
has set stay as they are, and nothing is done where the C library is another one.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # mallopt's names for them in glibc's malloc.h
_NEVER, _NONE = -1, 0
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")
KEPT_BLOCK_BYTES = 4 * 2**20  # a picture of 1.3 megapixels; larger ones go back
KEPT_REST_BYTES = 8 * 2**20  # of each thread


def keep_freed_tensors() -> None:
    """Keep all, for the rest of this process."""
    _set({_TRIM_THRESHOLD: _NEVER, _MMAP_MAX: _NONE})


def keep_freed_pictures() -> None:
    """Keep blocks and rests of some megabytes, for the rest of this process: so memory stays bounded."""
    _set({_MMAP_THRESHOLD: KEPT_BLOCK_BYTES, _TRIM_THRESHOLD: KEPT_REST_BYTES})


def _set(values: dict[int, int]) -> None:
    if any(name in os.environ for name in _VARIABLES):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl has none, Windows no library of that kind
        return
    for name, value in values.items():
        mallopt(name, value)
