"""Fixtures that all tests share: real Caffe, the oracle, whose absence is a failure and never a skip."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchbrew.training.engines import find_caffe_python

# Several tests share the cores: threads that wait for each other's cores take ten times as long. Before torch comes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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
