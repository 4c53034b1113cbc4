#!/usr/bin/env python3
"""How much memory `batchbrew lmdb build` takes at most, with how many images.

    .venv/bin/python benchmarks/build_memory.py [--images 50000] [--photographs DIR] [--short-side 64]

The images are made up, or with --photographs mixed like ImageNet's (photo_mix.py): 1,000 of them under many names each.
Looks ten times a second at the resident set of the process (it has no children): all of it, and without the pages of
files, which the system takes back when it needs them.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build_pictures import write_pictures
from measuring import write_results

from batchbrew.dataset.reader import LmdbReader

DIFFERENT = 1000


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--short-side", type=int, default=64)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batchbrew-memory-") as name:
        pictures, out = Path(name) / "pictures", Path(name) / "out"
        listed = write_pictures(pictures, asked.images, DIFFERENT, 96, asked.photographs)
        begun = time.monotonic()
        resident, anonymous = peaks(
            [sys.executable, "-m", "batchbrew", "lmdb", "build", "--images", pictures, "--list", listed,
             "--short-side", str(asked.short_side), "--out", out]
        )  # fmt: skip
        seconds = time.monotonic() - begun
        with LmdbReader(out) as reader:
            assert reader.count == asked.images
        rows = {
            "images": asked.images,
            "short_side": asked.short_side,
            "photographs": asked.photographs is not None,
            "peak_megabytes": round(resident / 1e6),
            "peak_megabytes_without_files": round(anonymous / 1e6),
            "lmdb_megabytes": round((out / "data.mdb").stat().st_size / 1e6),
            "images_per_second": round(asked.images / seconds),
        }
    write_results("build_memory", rows)


def peaks(command: list[str | Path]) -> tuple[int, int]:
    """Largest resident set of the command in bytes, and largest part of it that is no file's. Exits if it fails."""
    resident = anonymous = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            status = _status(process.pid)
            resident = max(resident, status.get("VmHWM", 0))
            anonymous = max(anonymous, status.get("RssAnon", 0))
            time.sleep(0.1)
    if process.returncode != 0:
        sys.exit(f"the build ended with {process.returncode}")
    return resident, anonymous


def _status(process: int) -> dict[str, int]:
    """Sizes in /proc/PID/status, in bytes; VmHWM is the kernel's own peak of the resident set."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:  # it has just ended
        return {}
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): 1024 * int(size) for name, size, _ in pairs}


if __name__ == "__main__":
    main()
