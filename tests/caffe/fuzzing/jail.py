"""Attempts damaged inputs in child processes of bounded memory and time: `python -m tests.caffe.fuzzing.jail FOLDER`.

FOLDER holds a folder for each input. A line of JSON for each, in order, is written to standard output. A child
attempts one after another; where it dies of one, that is its outcome, and the next child goes on behind it.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path

import torch

from batchbrew import caffe
from batchbrew.caffe import alias
from tests.caffe.fuzzing.exercise import VIOLATION, attempt, limit

ATTEMPTS_A_CHILD = 40
MEMORY_BYTES = 2**30  # beyond what a child has at its start
CPU_SECONDS, WALL_SECONDS = 20, 120


def run_some(folders: list[Path], results: int) -> int:
    """Attempt the first of `folders` in a child; returns how many are done with."""
    begin = os.lseek(results, 0, os.SEEK_END)
    child = os.fork()
    if child == 0:
        log = os.open("/dev/null", os.O_WRONLY)
        os.dup2(log, 2)
        for number, folder in enumerate(folders):
            limit(0 if number else MEMORY_BYTES, CPU_SECONDS, WALL_SECONDS)
            os.write(results, (json.dumps(attempt(folder)) + "\n").encode())
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    done = os.pread(results, 2**30, begin).count(b"\n")
    if done < len(folders):
        how = _death(status)
        os.write(results, (json.dumps({"outcome": VIOLATION, "text": how, "seconds": 0.0}) + "\n").encode())
        done += 1
    return done


def _death(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"the process ended with exit code {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGPROF:
        return f"hangs: more than {CPU_SECONDS} seconds of a processor"
    if number == signal.SIGALRM:
        return f"hangs: more than {WALL_SECONDS} seconds"
    return f"crashes: {signal.Signals(number).name}"


def main() -> None:
    """Attempt all, then print the lines."""
    torch.set_num_threads(1)
    caffe.init_log(3)
    alias.install()
    root = Path(sys.argv[1]).resolve()
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    results = os.open(root / "results.jsonl", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    gc.collect()
    gc.freeze()  # what is there already need not be looked through after each attempt
    done = 0
    while done < len(folders):
        done += run_some(folders[done : done + ATTEMPTS_A_CHILD], results)
    os.lseek(results, 0, os.SEEK_SET)
    sys.stdout.write(os.pread(results, 2**30, 0).decode())


if __name__ == "__main__":
    main()
