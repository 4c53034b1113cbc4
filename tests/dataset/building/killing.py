"""Builds in processes of their own, which are killed: a script that forks them, since starting Python takes longest.

    python killing.py ROOT, and a line of JSON to its standard input for each build: [OUT, OPTIONS, SECONDS]

builds ROOT/list.txt as OUT, kills it so many seconds after it has begun to make pictures (null: never), and prints
its exit status, -9 if it was killed. Transactions are small: there are many of them.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from batchbrew.dataset.building import record_writer
from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.sources import open_list
from batchbrew.errors import InputError

record_writer.BATCH_BYTES = 2**14
SIDE = 24


def build(root: Path, out: Path, begun: int, options: dict[str, Any]) -> int:
    """The forked process: build, and tell the other one through `begun` that it begins. Returns its status."""

    def meter(done: int, total: int, bad: int, written_bytes: int | None = None, /) -> None:
        nonlocal begun
        if begun >= 0:
            os.close(begun)
            begun = -1

    try:
        source = open_list(root / "list.txt", root)
        build_lmdb(source, out, BuildOptions(ImageOptions(side=SIDE), workers=2, **options), meter)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def status_of(root: Path, out: Path, options: dict[str, Any], seconds: float | None) -> int:
    """Build, and kill; as above."""
    begun, begins = os.pipe()
    builder = os.fork()
    if builder == 0:
        os.close(begun)
        status = 2
        try:
            status = build(root, out, begins, options)
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(begins)
    os.read(begun, 1)  # ends when the builder closes its end, by itself or by ending
    os.close(begun)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(builder, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(builder, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        wanted = json.loads(line)
        print(status_of(Path(sys.argv[1]), Path(wanted[0]), *wanted[1:]), flush=True)
