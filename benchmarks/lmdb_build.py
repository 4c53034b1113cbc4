#!/usr/bin/env python3
"""Images a second of `batchbrew lmdb build` and of Caffe's own convert_imageset, on the same photographs.

    .venv/bin/python benchmarks/lmdb_build.py IMAGES LIST

LIST is in Caffe's format, its paths begin at IMAGES; quickstart.sh makes one of 2,099 solar cells. Both builders
store JPEGs of short side 256 (convert_imageset distorts to 256×256, the same for square pictures). Whole
processes are timed. convert_imageset uses one core; BatchBrew as many as there are, and is measured on one too.
"""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import alternate, median_ratio, seconds_of, write_results

from batchbrew.training.engines import caffe_home

ROUNDS = 5


def main() -> None:
    """Measure on the images named on the command line."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    root, listed = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    images = sum(1 for line in listed.read_text(encoding="utf-8").splitlines() if line.strip())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lmdb"

        def built_by(*command: str | Path) -> float:
            shutil.rmtree(out, ignore_errors=True)
            return seconds_of(command)

        def batchbrew(*options: str) -> float:
            command = (sys.executable, "-m", "batchbrew", "lmdb", "build", "--images", root, "--list", listed)
            return built_by(*command, "--out", out, *options)

        convert = caffe_home() / "bin" / "convert_imageset"
        options = ("--resize_width=256", "--resize_height=256", "--encoded", "--encode_type=jpg", "--shuffle")
        seconds = alternate(
            ROUNDS,
            convert_imageset=lambda: built_by(convert, *options, f"{root}/", listed, out),
            batchbrew=batchbrew,
            batchbrew_1_worker=lambda: batchbrew("--workers", "1"),
        )
    rates = {f"{name}_images_per_second": round(images / statistics.median(t)) for name, t in seconds.items()}
    ratio = median_ratio(seconds["convert_imageset"], seconds["batchbrew"])
    one = median_ratio(seconds["convert_imageset"], seconds["batchbrew_1_worker"])
    write_results(
        "lmdb_build",
        {
            "images": images,
            **rates,
            "times_convert_imageset": round(ratio, 2),
            "times_convert_imageset_1_worker": round(one, 2),
        },
    )


if __name__ == "__main__":
    main()
