"""Runs the parts, each in a process of its own with a time limit; prints what they found, and writes it down.

A part that fails, or takes too long, is told, and the others are run all the same. Ends with 1 if one failed.
"""

import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from batchbrew.atomic import write_file
from batchbrew.errors import BatchBrewError
from batchbrew.training.engines import torch_engine
from gpu_check.settings import read_options

LAST_LINES = 12  # of what a failed part said
Found = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    begin = time.perf_counter()
    try:
        options = read_options(arguments)
        environment = {**os.environ, **torch_engine().environment}
        write_file(options.out, "")  # better told now than after the first part
    except BatchBrewError as error:
        print(f"gpu_check: error: {error}", file=sys.stderr)
        return 1
    parts: dict[str, Found] = {}
    for name in options.parts:
        print(f"\n{name}", flush=True)
        parts[name] = part = run_part(name, arguments, options.limit_seconds, environment)
        print(*told(part), sep="\n", flush=True)
        write_file(options.out, json.dumps(result(options.settings.gpu, parts, begin), indent=2) + "\n")
    failed = [name for name, part in parts.items() if part["faults"]]
    print(f"\n{options.out}: {', '.join(failed) + ' failed' if failed else 'all parts are well'}")
    return 1 if failed else 0


def result(gpu: int | None, parts: dict[str, Found], begin: float) -> Found:
    """Everything so far, for JSON."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": "cpu" if gpu is None else f"gpu {gpu}",
        "well": not any(part["faults"] for part in parts.values()),
        "seconds": round(time.perf_counter() - begin, 1),
        "parts": parts,
    }


def run_part(name: str, arguments: Sequence[str], limit_seconds: float, environment: dict[str, str]) -> Found:
    """`faults`: why it failed, if it did; `lines`: what it found, for the screen; `found`: the same, whole."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="batchbrew-gpu-check-") as folder:
        file = Path(folder) / "result.json"
        with (Path(folder) / "log").open("w+", errors="replace") as log:
            command = [sys.executable, "-m", "gpu_check.part", name, str(file), *arguments]
            faults = watched(command, environment, limit_seconds, log)
        part: Found = {"faults": faults, "lines": [], "found": None}
        if not faults:
            part = json.loads(file.read_text(encoding="utf-8"))
    return {**part, "seconds": round(time.perf_counter() - begin, 1)}


def watched(
    command: Sequence[str], environment: dict[str, str], limit_seconds: float, log: IO[str]
) -> list[str]:
    """Run it to its end, or to the limit's, and all that it started with it; why it failed, if it did."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        status = process.wait(timeout=limit_seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return [f"not done within {limit_seconds:g} seconds (--limit): ended", *last_lines(log)]
    return [f"ended with {status}", *last_lines(log)] if status else []


def last_lines(log: IO[str]) -> list[str]:
    """What a failed part said at last."""
    log.seek(0)
    return [line.rstrip() for line in log.read().splitlines() if line.strip()][-LAST_LINES:]


def told(part: Found) -> list[str]:
    """For the screen."""
    failed = [f"FAILED: {part['faults'][0]}", *part["faults"][1:]] if part["faults"] else []
    return [*(f"  {line}".rstrip() for line in [*part["lines"], *failed]), f"  ({part['seconds']:.1f} s)"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
