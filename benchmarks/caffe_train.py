"""`caffe train`, BVLC's own program: the seconds of its iterations, read off its log."""

import os
import re
import subprocess
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from batchbrew.errors import EngineError
from batchbrew.glog import parse_glog
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt, write_prototxt

PROGRESS = re.compile(r"Iteration (\d+)\b.*, loss = ")


def step_seconds(caffe: Path, solver: Path, steps: int, threads: int) -> float:
    """Of one iteration, the mean of `steps` after the first; raises EngineError where the program fails.

    Beside `solver` another one is written, which says how many there are and when the log tells of them.
    """
    own = read_prototxt(solver, pb.SolverParameter)
    own.display, own.max_iter = steps, steps + 1
    path = solver.with_name("caffe_train.prototxt")
    write_prototxt(path, own)
    environment = {"OPENBLAS_NUM_THREADS": str(threads), "GLOG_logtostderr": "1", "GLOG_minloglevel": "0"}
    done = subprocess.run(
        [caffe, "train", "--solver", path], env={**os.environ, **environment}, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    if done.returncode:
        raise EngineError(f"caffe train ended with {done.returncode}: {(lines or ['it said nothing'])[-1]}")
    return seconds_between(lines, 0, steps) / steps


def seconds_between(log: Iterable[str], first: int, last: int) -> float:
    """From the line with the loss of iteration `first` to that of `last`. Raises EngineError if one is missing."""
    times = {}
    for line in log:
        parsed = parse_glog(line)
        if parsed is not None and (told := PROGRESS.match(parsed.message)):
            times[int(told[1])] = datetime.strptime(parsed.stamp, "%m%d %H:%M:%S.%f")
    if missing := {first, last} - set(times):
        raise EngineError(f"caffe train's log has no loss of iteration {min(missing)}")
    return (times[last] - times[first]).total_seconds()
