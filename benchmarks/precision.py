#!/usr/bin/env python3
"""Does a training in bf16 end where trainings in fp32 do? The quickstart's net on its photographs, a few seeds of each.

    .venv/bin/python benchmarks/precision.py  # ResNet-10 at 64×64, 120 iterations, about 4 quiet minutes
    .venv/bin/python benchmarks/precision.py --iterations 500 --seeds 1 2 3 4 5

The pictures are those of the PyPI package elpv-dataset (data/elpv.py), in LMDBs as the quickstart makes them. The
seeds begin with other weights, and crop and mirror otherwise. Nothing is said of speed: it is measured by
train_step.py.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import write_results

from batchbrew.errors import BatchBrewError, EngineError
from batchbrew.nets.command import main as generate
from batchbrew.training.log import read_log

CHECKOUT = Path(__file__).resolve().parent.parent
CLASSES = 4
BATCH = 32
SHORT_SIDE, CROP = 72, 64
PRECISIONS = ("fp32", "bf16")
LOSSES = 10  # the last ones, whose mean stands for the training loss
Row = dict[str, Any]


def main() -> int:
    """Train all, and keep what came of them; returns the exit code: 1 where bf16 ends worse than fp32's worst."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=120)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="batchbrew-precision-") as name:
            rows = measure(Path(name), options.iterations, options.seeds)
    except BatchBrewError as error:
        print(f"precision: error: {error}", file=sys.stderr)
        return 1
    verdict = judged(rows)
    write_results("precision", {"net": "resnet10", "iterations": options.iterations, **verdict, "rows": rows})
    return int(verdict["bf16_error_mean"] > max(verdict["fp32_error_from_to"]))


def measure(folder: Path, iterations: int, seeds: Sequence[int]) -> list[Row]:
    """A row for each training; the precisions alternate."""
    build_lmdbs(folder)
    rows = []
    for seed in seeds:
        solver = write_model(folder, iterations, seed)
        for precision in PRECISIONS:
            rows.append(trained(solver, precision, seed))
            print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


def build_lmdbs(folder: Path) -> None:
    """`train_lmdb` and `val_lmdb` of the photographs."""
    run([CHECKOUT / "data" / "elpv.py", "--out", folder / "elpv"])
    images = json.loads((folder / "elpv" / "elpv.json").read_text(encoding="utf-8"))["root"]
    for part in ("train", "val"):
        run([
            "-m", "batchbrew", "lmdb", "build", "--images", images, "--list", folder / "elpv" / f"{part}.txt",
            "--classes", folder / "elpv" / "classes.txt", "--short-side", SHORT_SIDE,
            "--out", folder / f"{part}_lmdb",
        ])  # fmt: skip


def write_model(folder: Path, iterations: int, seed: int) -> Path:
    """The quickstart's net, tested at its end alone; returns its solver's file."""
    out = folder / f"model{seed}"
    options = [
        "--depth", "10", "--classes", str(CLASSES), "--crop", str(CROP), "--stem", "imagenet",
        "--train", str(folder / "train_lmdb"), "--val", str(folder / "val_lmdb"), "--out", str(out),
        "--batch", str(BATCH), "--device-batch", str(BATCH), "--bn-fraction", "0.9",
        "--iterations", str(iterations), "--base-lr", "0.01", "--weight-decay", "0.0005", "--display", "1",
        "--test-interval", str(iterations), "--snapshot", str(iterations), "--seed", str(seed), "--cpu",
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        status = generate("resnet", options)
    if status:
        raise EngineError(f"the generator failed: {said.getvalue().strip()}")
    return out / "solver.prototxt"


def trained(solver: Path, precision: str, seed: int) -> Row:
    """What came of one training."""
    run_folder = solver.parent / precision
    run([
        "-m", "batchbrew", "train", solver, "--engine", "torch", "--cpu", "--precision", precision,
        "--max-restarts", "0", "--run", run_folder,
    ])  # fmt: skip
    log = read_log(run_folder / "train.log")
    losses = list(log.loss.values)[-LOSSES:]
    tested = log.tests[0]
    return {
        "precision": precision,
        "seed": seed,
        "top1_error_percent": round(100 * (1 - tested["accuracy"].values[-1]), 2),
        "test_loss": round(tested["loss"].values[-1], 4),
        "training_loss": round(sum(losses) / len(losses), 4),
    }


def judged(rows: Sequence[Row]) -> Row:
    """Is bf16's error, of all seeds the mean, among those of fp32? Its losses, too."""

    def of(precision: str, what: str) -> list[float]:
        return [row[what] for row in rows if row["precision"] == precision]

    verdict: Row = {}
    for what, name in (("top1_error_percent", "error"), ("test_loss", "test_loss")):
        exact, rough = of("fp32", what), of("bf16", what)
        mean = sum(rough) / len(rough)
        verdict[f"bf16_{name}_mean"] = round(mean, 4)
        verdict[f"fp32_{name}_mean"] = round(sum(exact) / len(exact), 4)
        verdict[f"fp32_{name}_from_to"] = [min(exact), max(exact)]
        verdict[f"bf16_{name}_within_fp32"] = min(exact) <= mean <= max(exact)
    return verdict


def run(command: Sequence[object]) -> None:
    """By this interpreter. Raises EngineError, with its last words, where it fails."""
    words = [sys.executable, *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"{' '.join(words[1:5])} ended with {done.returncode}: {last}")


if __name__ == "__main__":
    sys.exit(main())
