#!/usr/bin/env python3
"""Build an LMDB on a disk that is too small for it, make room, go on, and compare: on a tmpfs, so it needs root.

    sudo .venv/bin/python benchmarks/full_disk.py

The tmpfs has half of the room. The estimate must refuse the build; without it (--no-space-check) the build must end
with one line, leave no target, and end again with one line while nothing has changed. With room it must end equal to
a build that always had it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from build_pictures import write_pictures
from kill_build import check_equal
from measuring import write_results

PICTURES, DIFFERENT = 1200, 100
SMALL, LARGE = "24m", "200m"


def main() -> None:
    """Fill the disk. Exits where something is not as it should be."""
    with tempfile.TemporaryDirectory(prefix="batchbrew-full-") as name:
        folder, disk = Path(name), Path(name) / "disk"
        listed = write_pictures(folder / "pictures", PICTURES, DIFFERENT)
        build: list[str | Path] = [
            sys.executable,
            "-m",
            "batchbrew",
            "lmdb",
            "build",
            "--images",
            folder / "pictures",
            "--list",
            listed,
        ]
        subprocess.run([*build, "--out", folder / "whole"], check=True, capture_output=True)
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", disk], check=True)
        try:
            complaints = fill([*build, "--out", disk / "out"], disk)
            check_equal(folder / "whole", disk / "out")
        finally:
            subprocess.run(["umount", disk], check=True)
    write_results("full_disk", {"tmpfs": SMALL, "equal": True, "complaints": complaints})


def fill(build: list[str | Path], disk: Path) -> list[str]:
    """What the build says: refused, full, still full; then it has room."""
    said = []
    for options in ([], ["--no-space-check"], ["--no-space-check", "--resume"]):
        done = subprocess.run([*build, *options], capture_output=True, text=True)
        lines = done.stderr.splitlines()
        if done.returncode != 1 or len(lines) != 1 or (disk / "out").exists():
            sys.exit(f"with {options} it ended with {done.returncode} and said {lines}")
        said.append(lines[0].replace(str(disk), "DISK"))
    subprocess.run(["mount", "-o", f"remount,size={LARGE}", disk], check=True)
    subprocess.run([*build, "--resume"], check=True, capture_output=True)
    return said


if __name__ == "__main__":
    main()
