#!/usr/bin/env python3
"""What supervision costs: the time of `batchbrew train` by that of `caffe train`, same solver, same Caffe.

    .venv/bin/python benchmarks/supervision.py models/quickstart/solver.prototxt

Run it where the solver's paths begin. 100 iterations, no tests, one snapshot at the end; whole processes are
timed, so BatchBrew's start, checks of the snapshot and plot are in it, spread over far fewer iterations than a
real training has.
"""

import re
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import alternate, median_ratio, seconds_of, write_results

from batchbrew.training.engines import caffe_home

ROUNDS, ITERATIONS = 4, 100


def main() -> None:
    """Measure with the solver named on the command line."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    text = re.sub(
        r"(?m)^(max_iter|snapshot|test_interval|test_iter|test_initialization|solver_mode):.*\n", "", text
    )
    with tempfile.TemporaryDirectory() as folder:
        solver = Path(folder) / "solver.prototxt"
        text = re.sub(r"(?m)^snapshot_prefix:.*$", f'snapshot_prefix: "{folder}/by_caffe"', text)
        solver.write_text(
            f"{text}\nmax_iter: {ITERATIONS}\nsnapshot: {ITERATIONS}\nsolver_mode: CPU\n", encoding="utf-8"
        )
        runs = iter(range(ROUNDS + 1))
        train = (sys.executable, "-m", "batchbrew", "train", solver, "--engine", "bvlc", "--run")
        seconds = alternate(
            ROUNDS,
            caffe=lambda: seconds_of([caffe_home() / "bin" / "caffe", "train", "--solver", solver]),
            batchbrew=lambda: seconds_of([*train, f"{folder}/run{next(runs)}"]),
        )
    write_results(
        "supervision",
        {
            "solver": sys.argv[1],
            "iterations": ITERATIONS,
            **{f"{name}_seconds": round(statistics.median(taken), 2) for name, taken in seconds.items()},
            "batchbrew_by_caffe": round(median_ratio(seconds["batchbrew"], seconds["caffe"]), 3),
        },
    )


if __name__ == "__main__":
    main()
