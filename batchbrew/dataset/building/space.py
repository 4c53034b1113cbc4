"""Is there room on the disk? Estimated before a build from some of its pictures."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from batchbrew.dataset.making import Made
from batchbrew.errors import InputError

SAMPLE = 48
SAMPLE_SECONDS = 3.0
MARGIN = 1.1
REST_BYTES = 2**20  # inner pages of the LMDB, the journal, dataset.json
PAGE = 4096
PAGE_HEADER = 16
NODE_BYTES = 96  # of a record on its leaf: key, page number, headers


def check_space(out: Path, numbers: Sequence[int], make: Callable[[int], Made | None]) -> None:
    """Raises InputError if the pictures `numbers`, as `make` makes them, will not fit beside `out`.

    Some are made, evenly spread, for some seconds at most; None is one that cannot be used.
    """
    needed = estimated_bytes(numbers, make)
    folder = next(parent for parent in (out, *out.parents) if parent.is_dir())
    try:
        free = shutil.disk_usage(folder).free
    except OSError:  # a file system that does not answer: let the build find out
        return
    if needed > free:
        raise InputError(
            f"{out} will need about {_size(needed)}, and {_size(free)} are free there: make room, choose another "
            "disk, or build all the same with --no-space-check"
        )


def estimated_bytes(numbers: Sequence[int], make: Callable[[int], Made | None]) -> int:
    """Of the LMDB, with a margin of a tenth; 0 where nothing can be said."""
    step = max(len(numbers) / SAMPLE, 1.0)
    until = time.monotonic() + SAMPLE_SECONDS
    total = taken = 0
    for place in range(min(SAMPLE, len(numbers))):
        made = make(numbers[int(place * step)])
        taken += 1
        total += 0 if made is None else stored_bytes(len(made.datum))
        if time.monotonic() > until:
            break
    return round(MARGIN * total / taken * len(numbers)) + REST_BYTES if total else 0


def stored_bytes(value_bytes: int) -> int:
    """What a record takes in an LMDB: a value of more than half a page gets pages of its own."""
    if value_bytes + NODE_BYTES <= PAGE // 2:
        return value_bytes + NODE_BYTES
    return -(-(PAGE_HEADER + value_bytes) // PAGE) * PAGE + NODE_BYTES


def _size(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB" if number >= 2**30 else f"{number / 2**20:,.0f} MiB"
