"""What all benchmarks share: the machine's name, medians over alternating rounds, the file of results."""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from batchbrew.atomic import write_file

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """Processor and number of cores that this process may use."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def gpu_name(number: int) -> str:
    """As NVIDIA's driver calls it."""
    asked = ["nvidia-smi", f"--id={number}", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return f"GPU {number}"
    return done.stdout.strip()


def seconds_of(command: Sequence[str | Path], **options: Any) -> float:
    """Wall-clock seconds of a command, start of the process included. Raises where it fails."""
    begin = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True, **options)
    return time.perf_counter() - begin


def alternate(rounds: int, **subjects: Callable[[], float]) -> dict[str, list[float]]:
    """Run the subjects in turn, so that a change of the machine's speed meets all; one round more is thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            taken = subject()
            if number:
                seconds[name].append(taken)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return seconds


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median, over rounds, of one subject's seconds by the other's."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def write_results(name: str, rows: dict[str, Any]) -> None:
    """Print the numbers, and keep them in benchmarks/results/NAME.json with machine and date."""
    print(keep_results(name, rows), end="")


def keep_results(name: str, rows: dict[str, Any]) -> str:
    """The text of benchmarks/results/NAME.json, which is written: the numbers with machine and date."""
    content = {"machine": machine(), "date": datetime.date.today().isoformat(), **rows}
    text = json.dumps(content, indent=2) + "\n"
    write_file(RESULTS / f"{name}.json", text)
    return text
