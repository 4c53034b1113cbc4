#!/usr/bin/env python3
"""Short trainings from an LMDB of JPEGs: does the net ever wait for its data?

    .venv/bin/python benchmarks/end_to_end.py                            # about 16 minutes on two cores
    .venv/bin/python benchmarks/end_to_end.py --nets resnet10 --rounds 1 --steps 3 --lmdb data/train_lmdb
    .venv/bin/python benchmarks/end_to_end.py --gpu 0

In alternating rounds: the torch engine from the LMDB (random crops, mirrored or not), the same net with images that are
made up once, and BVLC's `caffe train` from the same LMDB. The seconds of the iterations are counted, not those of
starting. Without --lmdb one is made of made-up pictures: JPEGs as large as photographs, short side 256.
Results of runs over all nets are kept in results/end_to_end.json (end_to_end_gpu.json).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark_nets import NETS, resized
from lmdb_times import CAFFE_TRAIN, Row, measure_from_lmdb
from made_up_lmdb import made_up_lmdb
from measuring import gpu_name, write_results
from page import check_place, table_of, where_and_when, write_on_page
from step_times import Length
from subjects import Place, cpu_has_bf16

from batchbrew.errors import BatchBrewError
from batchbrew.solver.precision import PRECISIONS
from batchbrew.training.engines import caffe_home

# The nets that take the most images a second: what is fast enough for them is for the others.
USUAL = ("resnet10", "alexnet")
ON_CPU, ON_GPU = Length(rounds=7, steps=10, lead_in=8), Length(rounds=3, steps=60, lead_in=20)
IMAGES, GPU_IMAGES = 1000, 8000
CLASSES = 10
HEADINGS = (
    "net, batch", "", "images/s from the LMDB", "made up", "caffe train", "LMDB by made up", "times caffe train",
)  # fmt: skip


def main() -> int:
    """Measure what the options say; returns the exit code."""
    options = parse(sys.argv[1:])
    name = "end_to_end" if options.gpu is None else "end_to_end_gpu"
    left_out = [options.json, options.lmdb, options.without, options.precisions, options.batch]
    kept = not any(left_out) and options.nets == list(USUAL)
    try:
        if kept:
            check_place(name)
        with tempfile.TemporaryDirectory(prefix="batchbrew-benchmark-") as folder:
            rows = measure(options, Path(folder))
    except BatchBrewError as error:
        print(f"end_to_end: error: {error}", file=sys.stderr)
        return 1
    found = {"rows": rows} | ({} if options.gpu is None else {"gpu": gpu_name(options.gpu)})
    if options.json:
        print(json.dumps(found))
    elif kept:
        write_results(name, found)
        write_on_page(name, for_page(found))
    else:
        print(json.dumps(found, indent=2))
    return 0


def for_page(found: dict[str, Any]) -> str:
    """The table, with where and when."""
    rows = [cells for row in found["rows"] for cells in cells_of(row)]
    return f"{table_of(HEADINGS, rows, words=2)}\n\n{where_and_when(found.get('gpu'))}."


def cells_of(row: Row) -> Iterator[tuple[str, ...]]:
    """A line for each precision."""
    for precision in PRECISIONS:
        if (share := row.get(f"{precision}_lmdb_by_synthetic")) is None:
            continue
        names = f"engine_{precision}_lmdb", f"engine_{precision}", CAFFE_TRAIN
        rates = [row["subjects"].get(each, {}).get("images_per_second") for each in names]
        times = row.get(f"{precision}_times_caffe_train")
        yield (
            f"{NETS[row['net']].title}, {row['batch']}", precision, *(f"{rate:,.1f}" if rate else "" for rate in rates),
            f"{100 * share:.1f}%", f"{times:.2f}" if times else "",
        )  # fmt: skip


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(USUAL), metavar="NET")
    parser.add_argument("--lmdb", type=Path, help="with images of at least 256 pixels, labels under 1000")
    parser.add_argument(
        "--images", type=int, help=f"of a made-up LMDB; default: {IMAGES}, on a GPU {GPU_IMAGES}"
    )
    parser.add_argument("--rounds", type=int, help="that count; default: 7, on a GPU 3")
    parser.add_argument("--steps", type=int, help="iterations in a round; default: 10, on a GPU 60")
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=[],
        help="default: fp32, and bf16 where the processor multiplies it; on a GPU bf16",
    )  # fmt: skip
    parser.add_argument("--without", nargs="+", choices=(CAFFE_TRAIN,), default=[], help="leave it out")
    parser.add_argument("--gpu", type=int, metavar="N", help="compute on GPU N, without BVLC")
    parser.add_argument("--batch", nargs="+", default=[], metavar="NET=N", help="images a step")
    parser.add_argument("--json", action="store_true", help="print one line of JSON, keep nothing")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace, folder: Path) -> list[Row]:
    """A row for each net. Raises InputError for an option that makes no sense, EngineError where an engine fails."""
    on_gpu = options.gpu is not None
    nets = list(resized([NETS[name] for name in options.nets], options.batch, on_gpu=on_gpu))
    lmdb = options.lmdb
    if lmdb is None:
        images = options.images or (GPU_IMAGES if on_gpu else IMAGES)
        print(f"an LMDB of {images:,} made-up pictures", file=sys.stderr)
        lmdb = made_up_lmdb(folder / "lmdb", images, CLASSES)
    usual = ON_GPU if on_gpu else ON_CPU
    length = Length(options.rounds or usual.rounds, options.steps or usual.steps, usual.lead_in)
    precisions = options.precisions or (
        ["bf16"] if on_gpu else ["fp32", "bf16"] if cpu_has_bf16() else ["fp32"]
    )
    caffe = None if on_gpu or options.without else caffe_home() / "bin" / "caffe"
    place = Place(options.gpu)
    return [measure_from_lmdb(net, lmdb, precisions, place, length, caffe) for net in nets]


if __name__ == "__main__":
    sys.exit(main())
