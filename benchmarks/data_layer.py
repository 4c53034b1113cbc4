#!/usr/bin/env python3
"""How fast images come out of an LMDB of JPEGs: the engine's Data layer, BVLC Caffe's, and a PyTorch DataLoader.

    .venv/bin/python benchmarks/data_layer.py                   # about 3 minutes; without --lmdb one is made up
    .venv/bin/python benchmarks/data_layer.py --lmdb data/train_lmdb --rounds 1 --batches 5

Crops of 224 by chance, mirrored by chance, less a mean for each channel, batches of 64, and no net behind: in
alternating rounds, each subject asked for so many batches. The engine runs as `batchbrew train` starts it, with as
many threads as there are cores, and again with a single one; BVLC's layer always has one, the DataLoader none or two
workers. Seconds on cores are those of all threads and workers. Results of runs without options are kept in
results/data_layer.json.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from asking import Taken, running, wall_and_cores
from made_up_lmdb import made_up_lmdb
from measuring import median_ratio, write_results
from subjects import Start

from batchbrew.dataset.reader import LmdbReader
from batchbrew.errors import BatchBrewError
from batchbrew.training.engines import bvlc_engine, find_caffe_python, torch_engine

BATCH, CROP, MEANS = 64, 224, (104.0, 117.0, 123.0)
IMAGES, CLASSES = 1000, 10
LEAD_IN = 8  # batches: more than any of them makes ahead
BVLC, ENGINE, ONE_THREAD = "bvlc", "engine", "engine_1_thread"
LOADERS = {"dataloader_0_workers": 0, "dataloader_2_workers": 2}
HERE = Path(__file__).parent
NET = """layer {{
  name: "data" type: "Data" top: "data" top: "label"
  transform_param {{ crop_size: {crop} mirror: true {means} }}
  data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }}
}}
"""


def main() -> int:
    """Measure what the options say; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lmdb", type=Path, help="of JPEGs no smaller than the crop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=30, help="in a round")
    parser.add_argument(
        "--without", nargs="+", default=[], help="subjects to leave out, as results name them"
    )
    parser.add_argument("--json", action="store_true", help="print one line, keep nothing")
    options = parser.parse_args()
    usual = options == parser.parse_args([])
    try:
        with tempfile.TemporaryDirectory(prefix="batchbrew-benchmark-") as folder:
            lmdb = options.lmdb or made_up_lmdb(Path(folder) / "lmdb", IMAGES, CLASSES)
            started = {
                name: start
                for name, start in starts(lmdb.resolve(), Path(folder)).items()
                if name not in options.without
            }
            with running(started) as asked:
                seconds = wall_and_cores(asked, options.rounds, options.batches, LEAD_IN)
            found = summary(seconds, options.batches * BATCH) | described(lmdb)
    except BatchBrewError as error:
        print(f"data_layer: error: {error}", file=sys.stderr)
        return 1
    if usual:
        write_results("data_layer", found)
    else:
        print(json.dumps(found, indent=None if options.json else 2))
    return 0


def starts(lmdb: Path, folder: Path) -> dict[str, Start]:
    """How to start each subject. Raises EngineError where an engine is not installed."""
    net = folder / "data.prototxt"
    means = " ".join(f"mean_value: {mean:g}" for mean in MEANS)
    net.write_text(NET.format(crop=CROP, means=means, source=lmdb, batch=BATCH), encoding="utf-8")
    ours, quiet = torch_engine(), {"GLOG_minloglevel": "2"}
    script = str(HERE / "data_subject.py")
    reading = [script, json.dumps({"net": str(net)})]
    one_thread = {"BATCHBREW_DATA_THREADS": "1", "OMP_NUM_THREADS": "1"}
    found = {
        BVLC: Start([*bvlc_engine(find_caffe_python().path).command, *reading], quiet),
        ENGINE: Start([*ours.command, *reading], {**ours.environment, **quiet}),
        ONE_THREAD: Start([*ours.command, *reading], {**ours.environment, **quiet, **one_thread}),
    }
    for name, workers in LOADERS.items():
        job = {"loader": workers, "lmdb": str(lmdb), "batch": BATCH, "crop": CROP, "means": MEANS}
        found[name] = Start([sys.executable, script, json.dumps(job)], ours.environment)
    return found


def summary(seconds: Taken, images: int) -> dict[str, Any]:
    """Medians of the rounds, and the medians of ratios within rounds; `images` were read in each."""
    rows: dict[str, Any] = {}
    for name, taken in seconds.items():
        rows[name] = {
            "images_per_second": round(images / statistics.median(wall for wall, _ in taken)),
            "core_seconds_per_1000_images": round(
                1000 / images * statistics.median(cores for _, cores in taken), 3
            ),
        }
    found: dict[str, Any] = {"subjects": rows}
    for name in seconds.keys() & {ENGINE, ONE_THREAD}:
        for peer in sorted(seconds.keys() - {ENGINE, ONE_THREAD}):
            per_core, per_second = (
                median_ratio([each[kind] for each in seconds[peer]], [each[kind] for each in seconds[name]])
                for kind in (1, 0)
            )
            rows[name][f"times_{peer}"] = round(per_second, 2)
            rows[name][f"times_{peer}_per_core"] = round(per_core, 2)
    return found


def described(lmdb: Path) -> dict[str, Any]:
    """What was read."""
    with LmdbReader(lmdb) as reader:
        kilobytes = statistics.mean(len(value) / 1000 for _, value in reader.sample(100))
        return {
            "batch": BATCH,
            "crop": CROP,
            "images": reader.count,
            "kilobytes_per_image": round(kilobytes, 1),
        }


if __name__ == "__main__":
    sys.exit(main())
