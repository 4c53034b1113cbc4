#!/usr/bin/env python3
"""Images a second from an LMDB, decoded, cropped and mirrored into batches of bytes; and a DataLoader's from files.

    .venv/bin/python benchmarks/read_lmdb.py PHOTOGRAPHS            # a folder of large ones; about 90 seconds

From the photographs a set mixed like ImageNet's is cut (photo_mix.py); `batchbrew lmdb build` makes an LMDB of it,
short side 256; and each JPEG in the LMDB is written to a file, too. The engine's reader takes it in order and in
random order, with 1 and 2 threads, and with 2 processes; a PyTorch DataLoader takes the same JPEGs as files, decoded
by OpenCV, with 1 and 2 workers. All live at the same time and are asked in turn, in rounds. Seconds on cores are those
of all threads and processes of a subject: images a second of a core are what they give. Results are kept in
results/read_lmdb.json, unless there are options.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from asking import Taken, running, wall_and_cores
from measuring import median_ratio, write_results
from photo_mix import make_mix
from subjects import Start

from batchbrew.dataset.reader import LmdbReader, parse_datum
from batchbrew.errors import BatchBrewError
from batchbrew.training.engines import torch_engine

BATCH, CROP, IMAGES = 64, 224, 1000
LEAD_IN = 6  # batches: more than any of them makes ahead
CORES = 16  # of the machine that an H100 is lent with
HERE = Path(__file__).parent
READERS = {
    f"{order}_{count}_{kind}": {"random": order == "random", "threads": 1, "processes": 1} | {kind: count}
    for order, count, kind in (
        ("in_order", 1, "threads"), ("in_order", 2, "threads"), ("random", 1, "threads"), ("random", 2, "threads"),
        ("random", 2, "processes"),
    )
}  # fmt: skip
LOADERS = {"dataloader_1_workers": 1, "dataloader_2_workers": 2}


def main() -> int:
    """Measure what the options say; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="a folder of JPEGs and PNGs, short side 1400 and more")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=16, help="in a round")
    parser.add_argument("--crop", type=int, default=CROP)
    options = parser.parse_args()
    usual = options == parser.parse_args([str(options.photographs)])
    try:
        with tempfile.TemporaryDirectory(prefix="batchbrew-benchmark-") as name:
            folder = Path(name)
            lmdb = build(options.photographs, folder)
            found = described(lmdb, write_files(lmdb, folder / "files"), options.crop)
            with running(starts(lmdb, folder / "files", options.crop)) as asked:
                taken = wall_and_cores(asked, options.rounds, options.batches, LEAD_IN)
            found |= summary(taken, options.batches * BATCH)
    except BatchBrewError as error:
        print(f"read_lmdb: error: {error}", file=sys.stderr)
        return 1
    if usual:
        write_results("read_lmdb", found)
    else:
        print(json.dumps(found, indent=2))
    return 0


def build(photographs: Path, folder: Path) -> Path:
    """An LMDB of pictures cut from photographs, as the builder makes it. Exits with the builder's own message."""
    listed = make_mix(photographs, folder / "mix", IMAGES)
    command = [
        sys.executable,
        "-m",
        "batchbrew",
        "lmdb",
        "build",
        "--images",
        folder / "mix",
        "--list",
        listed,
    ]
    command += ["--out", folder / "lmdb", "--enlarge"]  # a crop needs the short side
    built = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if built.returncode:
        sys.exit(built.stderr or built.stdout)
    return folder / "lmdb"


def write_files(lmdb: Path, folder: Path) -> int:
    """Each JPEG of the LMDB as a file, its label first in its name; returns how many bytes they have."""
    folder.mkdir()
    size = 0
    with LmdbReader(lmdb) as reader:
        for number, (_, value) in enumerate(reader.items()):
            datum = parse_datum(value)
            size += (folder / f"{datum.label}-{number:06}.jpg").write_bytes(datum.data)
    return size


def described(lmdb: Path, size: int, crop: int) -> dict[str, Any]:
    """What was read."""
    with LmdbReader(lmdb) as reader:
        images = reader.count
    return {
        "batch": BATCH,
        "crop": crop,
        "images": images,
        "kilobytes_per_image": round(size / images / 1000, 1),
    }


def starts(lmdb: Path, files: Path, crop: int) -> dict[str, Start]:
    """How to start each subject, all of them with the torch engine's environment."""
    jobs: dict[str, dict[str, Any]] = {name: {"lmdb": str(lmdb)} | each for name, each in READERS.items()}
    jobs |= {name: {"files": str(files), "workers": workers} for name, workers in LOADERS.items()}
    environment = {**torch_engine().environment, "OMP_NUM_THREADS": "1"}
    return {
        name: Start(
            [sys.executable, str(HERE / "read_subject.py"), json.dumps(job | {"batch": BATCH, "crop": crop})],
            environment,
        )
        for name, job in jobs.items()
    }


def summary(taken: Taken, images: int) -> dict[str, Any]:
    """Medians of the rounds, and the medians of ratios within rounds; `images` were read in each."""
    rows: dict[str, Any] = {}
    for name, rounds in taken.items():
        of_a_core = images / statistics.median(cores for _, cores in rounds)
        rows[name] = {
            "images_per_second": round(images / statistics.median(wall for wall, _ in rounds)),
            "images_per_second_of_a_core": round(of_a_core),
        }
        if name in READERS:
            rows[name][f"images_per_second_of_{CORES}_cores"] = round(CORES * of_a_core)
    for name in taken.keys() & READERS.keys():
        for loader in sorted(taken.keys() & LOADERS.keys()):
            per_core, per_second = (
                median_ratio([each[kind] for each in taken[loader]], [each[kind] for each in taken[name]])
                for kind in (1, 0)
            )
            rows[name][f"times_{loader}"] = round(per_second, 2)
            rows[name][f"times_{loader}_per_core"] = round(per_core, 2)
    return {"subjects": rows}


if __name__ == "__main__":
    sys.exit(main())
