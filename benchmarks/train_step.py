#!/usr/bin/env python3
"""The time and the memory of a training step: the torch engine, BVLC Caffe, and plain PyTorch of the same net.

    .venv/bin/python benchmarks/train_step.py                                   # all: about 12 minutes on two cores
    .venv/bin/python benchmarks/train_step.py --nets resnet10 --rounds 1 --json
    .venv/bin/python benchmarks/train_step.py --gpu 0 --batch resnet50=128      # the engine and plain PyTorch

Nets are those that the generators write, with 1000 classes; their images are made up once. Each subject is a process of
its own; all are there from the beginning and are asked in turn, round by round, so that what else the machine does
meets all of them. A first round is thrown away. Ratios are medians over rounds of one subject's time by the other's.

`--json` prints one line: geomean_fp32 and geomean_bf16, the engine's speed in units of BVLC's, and the rows. Without
it a table is printed, and a run that leaves nothing out is kept: results/train_step.json (train_step_gpu.json) with
a picture, and its table in README.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from benchmark_nets import NETS, BenchmarkNet, resized
from measuring import RESULTS, gpu_name, keep_results
from page import check_place, write_on_page
from step_times import Length, Report, measure, report, row_of
from subjects import BVLC, ENGINE, PLAIN, Place, Subject, cpu_has_bf16
from train_step_figure import draw
from train_step_table import for_page, table

from batchbrew.errors import BatchBrewError
from batchbrew.solver.precision import PRECISIONS

ON_CPU, ON_GPU = Length(rounds=5, steps=2), Length(rounds=5, steps=20, lead_in=5)


def main() -> int:
    """Measure what the options say; returns the exit code."""
    options = parse(sys.argv[1:])
    on_gpu = options.gpu is not None
    place = Place(options.gpu, options.threads) if options.threads else Place(options.gpu)
    subjects = chosen_subjects(options)
    default = ON_GPU if on_gpu else ON_CPU
    length = Length(options.rounds or default.rounds, options.steps or default.steps, default.lead_in)
    left_out = [options.json, options.without, options.precisions, options.batch]
    kept = not any(left_out) and set(options.nets) == set(NETS)
    name = "train_step_gpu" if on_gpu else "train_step"
    try:
        if kept:
            check_place(name)
        nets = chosen_nets(options)
        rows = [row_of(net, measure(net, subjects, place, length, tell)) for net in nets]
    except BatchBrewError as error:
        print(f"train_step: error: {error}", file=sys.stderr)
        return 1
    found = report(rows, length) | ({"gpu": gpu_name(options.gpu)} if on_gpu else {})
    if options.json:
        print(json.dumps(found, allow_nan=False))
        return 0
    print(*table(found), sep="\n")
    if kept:
        keep(found, name)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS), metavar="NET")
    parser.add_argument("--rounds", type=positive, help="that count; default: 5")
    parser.add_argument("--steps", type=positive, help="iterations in a round; default: 2, on a GPU 20")
    parser.add_argument("--without", nargs="+", choices=(BVLC, PLAIN), default=[], help="leave these out")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        default=[],
        help="default: fp32, and bf16 where the processor multiplies it; on a GPU tf32 and bf16",
    )
    parser.add_argument(
        "--threads", type=positive, help="of each subject; default: as many as there are cores"
    )
    parser.add_argument("--gpu", type=int, metavar="N", help="compute on GPU N: the engine and plain PyTorch")
    parser.add_argument("--batch", nargs="+", default=[], metavar="NET=N", help="images a step")
    parser.add_argument("--json", action="store_true", help="print one line of JSON, keep nothing")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def chosen_nets(options: argparse.Namespace) -> list[BenchmarkNet]:
    """With their batches. Raises InputError for a --batch that is not understood."""
    nets = resized([NETS[name] for name in options.nets], options.batch, on_gpu=options.gpu is not None)
    return list(nets)


def chosen_subjects(options: argparse.Namespace) -> list[Subject]:
    """In the order in which they are asked: BVLC, and for each precision the engine and plain PyTorch."""
    on_gpu = options.gpu is not None
    usual = ["tf32", "bf16"] if on_gpu else ["fp32", "bf16"] if cpu_has_bf16() else ["fp32"]
    first = [] if on_gpu or BVLC in options.without else [Subject(BVLC)]
    engines = [ENGINE] if PLAIN in options.without else [ENGINE, PLAIN]
    return [*first, *(Subject(each, how) for how in options.precisions or usual for each in engines)]


def tell(what: str) -> None:
    """How far it is."""
    print(what, file=sys.stderr)


def keep(found: Report, name: str) -> None:
    """With the other benchmarks' results, with a picture, and in the README."""
    keep_results(name, found)
    draw(found, RESULTS / f"{name}.png")
    write_on_page(name, for_page(found, name))


if __name__ == "__main__":
    sys.exit(main())
