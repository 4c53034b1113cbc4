"""A real Caffe that goes on from one question to the next, as starting one takes longer than most answers."""

import json
import subprocess
from pathlib import Path
from typing import IO, Any


class CaffeSession:
    """`code` defines `answer(job)`, from JSON to JSON. A Caffe that aborts fails the test and is started anew."""

    def __init__(self, caffe_python: Path, code: str, log: Path) -> None:
        self._command = [str(caffe_python), "-c", f"{code}\n{_LOOP}"]
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def ask(self, job: Any) -> Any:
        """What Caffe answers."""
        process = self._process or self._started()
        _pipe(process.stdin).write(json.dumps(job) + "\n")
        _pipe(process.stdin).flush()
        line = _pipe(process.stdout).readline()
        if not line:
            self._process = None
            ended = process.wait()
            raise AssertionError(f"real Caffe ended with {ended}:\n{self._log.read_text()[-3000:]}")
        return json.loads(line)

    def close(self) -> None:
        """End Caffe."""
        if self._process is not None:
            _pipe(self._process.stdin).close()
            self._process.wait(timeout=60)
            _pipe(self._process.stdout).close()

    def _started(self) -> subprocess.Popen[str]:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        return self._process


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


_LOOP = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else prints
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), file=answers, flush=True)
"""
