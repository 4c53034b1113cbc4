"""Fixtures that all tests share: real Caffe, the oracle, whose absence is a failure and never a skip."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchbrew.training.engines import find_caffe_python

# Several tests share the cores: threads that wait for each other's cores take ten times as long. Before torch comes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where the tests run in the background of a script, or under nohup, these are ignored, and would be in all that they
# start: that is to be interrupted. A signal with a handler is not ignored in a child process; here nothing comes of it.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda number, frame: None)

RunCaffe = Callable[..., Any]


@pytest.fixture(scope="session")
def caffe_python() -> Path:
    """The Python interpreter of real BVLC Caffe; scripts/test.sh installs it."""
    return find_caffe_python().path


@pytest.fixture(scope="session")
def run_caffe(caffe_python: Path) -> RunCaffe:
    """Run a Python text in real Caffe: `run_caffe(code, *args)` returns what it prints last, read as JSON.

    The text finds its arguments in `sys.argv[1:]`. A Caffe that aborts fails the test with its own log.
    """

    def run(code: str, *args: object, timeout_seconds: float = 300) -> Any:
        done = subprocess.run(
            [caffe_python, "-c", code, *map(str, args)],
            capture_output=True, text=True, timeout=timeout_seconds,
        )  # fmt: skip
        assert done.returncode == 0, f"real Caffe ended with {done.returncode}:\n{done.stderr[-4000:]}"
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run
