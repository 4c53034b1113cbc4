#!/usr/bin/env python3
"""Kill `batchbrew lmdb build` at random moments, go on with --resume, and compare with an uninterrupted build.

    .venv/bin/python benchmarks/kill_build.py [--kills 50] [--images DIR --list FILE]

The process is killed (SIGKILL) at moments spread over all of its life, start of Python included, until the build is
whole; then keys, values and dataset.json must be those of the uninterrupted one, and the next build begins. Where no
images are named, it builds 2,400 made-up ones.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build_pictures import write_pictures
from measuring import write_results

from batchbrew.dataset.reader import LmdbReader

PICTURES = 2400
DIFFERENT = 300
LONGEST = 0.8  # of an uninterrupted build, before a kill: so that a build is killed several times


def main() -> None:
    """Kill as often as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batchbrew-kill-") as name:
        folder = Path(name)
        images, listed = asked.images, asked.list
        if images is None or listed is None:
            images, listed = folder / "pictures", write_pictures(folder / "pictures", PICTURES, DIFFERENT)
        build = [
            *(sys.executable, "-m", "batchbrew", "lmdb", "build"),
            *("--images", images, "--list", listed, "--resume", "--out"),
        ]
        write_results("kill_build", killed(build, folder, asked.kills, random.Random(asked.seed)))


def killed(build: list[str | Path], folder: Path, kills: int, chance: random.Random) -> dict[str, object]:
    """Build, kill and compare in `folder`; what came of it. Exits where a build is not what it should be."""
    started = time.monotonic()
    subprocess.run([*build, folder / "whole"], check=True, capture_output=True)
    seconds = time.monotonic() - started
    with LmdbReader(folder / "whole") as reader:
        records = reader.count
    done = builds = 0
    while done < kills:
        out = folder / f"out {builds}"
        in_this = 0
        while done < kills and killed_after(chance.uniform(0, LONGEST * seconds), [*build, out]):
            done += 1
            in_this += 1
        finished = subprocess.run([*build, out], capture_output=True, text=True)
        if finished.returncode != 0:
            sys.exit(f"after {in_this} kills it cannot be gone on with: {finished.stderr}")
        check_equal(folder / "whole", out)
        print(f"build {builds}: killed {in_this} times, equal", file=sys.stderr)
        builds += 1
        shutil.rmtree(out)
    return {
        "records": records,
        "seconds_uninterrupted": round(seconds, 1),
        "kills": done,
        "builds": builds,
        "equal": builds,
    }


def killed_after(seconds: float, command: list[str | Path]) -> bool:
    """Run the command, but for so many seconds only; was it still at work? Exits where it failed by itself."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, complaint = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    if process.returncode != 0:
        sys.exit(f"it cannot be gone on with: {complaint}")
    return False


def check_equal(whole: Path, other: Path) -> None:
    """Exits where a record or the description differs, or something is left over."""
    with LmdbReader(whole) as one, LmdbReader(other) as another:
        for number, (expected, found) in enumerate(zip(one.items(), another.items(), strict=True)):
            if expected != found:
                sys.exit(f"{other}: record {number} differs")
    if (whole / "dataset.json").read_bytes() != (other / "dataset.json").read_bytes():
        sys.exit(f"{other}: dataset.json differs")
    if other.with_name(f"{other.name}.partial").exists():
        sys.exit(f"{other}.partial is left over")


if __name__ == "__main__":
    main()
