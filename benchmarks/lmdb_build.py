#!/usr/bin/env python3
"""Images a second of `batchbrew lmdb build` and of Caffe's own convert_imageset, on the same photographs.

    .venv/bin/python benchmarks/lmdb_build.py --photographs DIR [--made DIR] [--count 6000] [--rounds 3]
    .venv/bin/python benchmarks/lmdb_build.py --images DIR --list FILE

The first cuts a set of JPEGs, mixed like ImageNet's, out of large photographs (photo_mix.py), in --made or in a
temporary folder; Debian's mate-backgrounds and ukui-wallpapers have 40 that fit:

    apt-get download mate-backgrounds ukui-wallpapers && for deb in *.deb; do dpkg -x $deb photographs; done

The second takes images that are there, with a list in Caffe's format. convert_imageset distorts to 256×256;
BatchBrew keeps the aspect, short side 256, which is a third more pixels; both store JPEGs of quality 95. Whole
processes are timed, in turn. convert_imageset uses one core; BatchBrew is measured with one worker and with
two. The processors' time that they took, the least of the rounds, says more on a machine that is not quiet.
Behind that: what the stages of one image cost a core, each measured alone.
"""

import argparse
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
from measuring import alternate, median_ratio, seconds_of, write_results
from photo_mix import make_mix

from batchbrew.dataset.building.record_writer import RecordWriter
from batchbrew.dataset.decoding import decode_picture
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import sound_header
from batchbrew.dataset.making import affordable, encode, make, sums_of
from batchbrew.dataset.pixel_budget import ALONE_PIXELS
from batchbrew.dataset.resizing import fit, plan
from batchbrew.training.engines import caffe_home

STAGED = 500  # images whose stages are timed
In = TypeVar("In")
Out = TypeVar("Out")


def main() -> None:
    """Measure on the set that the command line names."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="batchbrew-benchmark-") as folder:
        if asked.photographs is None:
            root, listed = asked.images.resolve(), asked.list.resolve()
        else:
            root = (asked.made or Path(folder) / "images").resolve()
            listed = root / "list.txt"
            if not listed.is_file():
                make_mix(asked.photographs, root, asked.count)
        files = [root / line.rpartition(" ")[0] for line in listed.read_text(encoding="utf-8").splitlines()]
        rows: dict[str, Any] = {
            "images": len(files),
            "kilobytes_an_image": round(sum(path.stat().st_size for path in files) / len(files) / 1000, 1),
            **_whole_processes(root, listed, len(files), Path(folder) / "lmdb", asked.rounds),
            "milliseconds_an_image_on_one_core": stages(files[:STAGED], Path(folder) / "records"),
        }
    write_results("lmdb_build", rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, help="large photographs to cut a set from")
    parser.add_argument(
        "--made", type=Path, help="where that set is kept; one that is there is taken as it is"
    )
    parser.add_argument("--count", type=int, default=6000, help="images of the set")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if (asked.photographs is None) == (asked.images is None or asked.list is None):
        parser.error("give --photographs, or --images with --list")
    return asked


def _whole_processes(root: Path, listed: Path, images: int, out: Path, rounds: int) -> dict[str, Any]:
    """Rates and ratios of the builders."""
    of_processors: dict[str, float] = {}

    def built_by(name: str, *command: str | Path) -> float:
        shutil.rmtree(out, ignore_errors=True)
        before = _processor_seconds()
        taken = seconds_of(command)
        spent = 1000 * (_processor_seconds() - before) / images
        of_processors[name] = min(spent, of_processors.get(name, spent))
        return taken

    def batchbrew(workers: int) -> float:
        command = (sys.executable, "-m", "batchbrew", "lmdb", "build", "--images", root, "--list", listed)
        return built_by(f"batchbrew_{workers}", *command, "--out", out, "--workers", str(workers))

    convert = caffe_home() / "bin" / "convert_imageset"
    options = ("--resize_width=256", "--resize_height=256", "--encoded", "--encode_type=jpg")
    seconds = alternate(
        rounds,
        convert_imageset=lambda: built_by("convert_imageset", convert, *options, f"{root}/", listed, out),
        batchbrew_1_worker=lambda: batchbrew(1),
        batchbrew_2_workers=lambda: batchbrew(2),
    )
    rates = {f"{name}_images_per_second": round(images / statistics.median(t)) for name, t in seconds.items()}
    ratios = {
        f"times_convert_imageset_{name.removeprefix('batchbrew_')}": round(
            median_ratio(seconds["convert_imageset"], taken), 2
        )
        for name, taken in seconds.items()
        if name != "convert_imageset"
    }
    milliseconds = {name: round(spent, 3) for name, spent in of_processors.items()}
    return {**rates, **ratios, "processor_milliseconds_an_image": milliseconds}


def _processor_seconds() -> float:
    """Of all the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stages(files: Sequence[Path], records: Path) -> dict[str, float]:
    """Milliseconds of a core that an image costs in each stage, and in all of `make` at once."""
    cv2.setNumThreads(1)
    taken: dict[str, float] = {}

    def timed(name: str, function: Callable[[In], Out], items: Sequence[In]) -> list[Out]:
        begin = time.thread_time()
        results = [function(item) for item in items]
        taken[name] = round(1000 * (time.thread_time() - begin) / len(items), 3)
        return results

    options = ImageOptions()
    contents = timed("read", Path.read_bytes, files)
    headers = timed("header", sound_header, contents)
    planned = [plan(header.width, header.height, options) for header in headers]
    reduced = [
        affordable(header, geometry, 1, ALONE_PIXELS)[0]
        for header, geometry in zip(headers, planned, strict=True)
    ]
    decoded = timed(
        "decode",
        lambda item: decode_picture(*item, False)[0],
        list(zip(contents, headers, reduced, strict=True)),
    )
    fitted = timed("scale", lambda item: fit(*item), list(zip(decoded, planned, strict=True)))
    timed("sums", sums_of, fitted)
    timed("encode", lambda image: encode(image, options), fitted)
    made = timed("make", lambda data: make(data, "1.JPEG", 0, options).datum, contents)
    records.mkdir()
    writer = RecordWriter(records)
    timed("write", lambda datum: writer.add("1.JPEG", 0, datum), made)
    writer.finish()
    writer.close()
    return taken


if __name__ == "__main__":
    main()
