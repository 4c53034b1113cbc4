"""Short trainings by `batchbrew train`, as a user starts it, in fp32 and in bf16: do they learn, and the same?"""

import contextlib
import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from made_up_lmdb import made_up_lmdb

from batchbrew.errors import EngineError
from batchbrew.nets.command import main as generate
from batchbrew.training.log import read_log
from gpu_check.settings import Settings, Training

CLASSES = 8
BASE_RATE = 0.02
PRECISIONS = ("fp32", "bf16")
# The images are easy: a training that works ends far below both.
LEARNED = 0.5  # of the first loss, on a GPU; the few iterations on a CPU need not come further than below it
APART_PERCENT = 5.0  # between the two errors
Found = dict[str, Any]


def run(settings: Settings) -> Found:
    """A row for each precision."""
    training = settings.training
    with tempfile.TemporaryDirectory(prefix="batchbrew-gpu-check-") as name:
        folder = Path(name)
        for part, seed, images in (("train", 1, training.images), ("val", 2, max(8, training.images // 4))):
            made_up_lmdb(folder / part, images, CLASSES, seed=seed, short_side=training.short_side)
        solver = write_model(folder, training)
        rows = [trained(settings, solver, precision) for precision in PRECISIONS]
    return {"learned_below": LEARNED if settings.gpu is not None else 1.0, "rows": rows}


def write_model(folder: Path, training: Training) -> Path:
    """A ResNet-10 for small images, tested at its end; returns its solver's file."""
    iterations, batch = str(training.iterations), str(training.batch)
    options = [
        "--depth", "10", "--stem", "small", "--classes", str(CLASSES), "--crop", str(training.crop),
        "--train", str(folder / "train"), "--val", str(folder / "val"), "--out", str(folder / "model"),
        "--batch", batch, "--device-batch", batch, "--bn-fraction", "0.9", "--iterations", iterations,
        "--base-lr", str(BASE_RATE), "--test-interval", iterations, "--snapshot", iterations, "--seed", "1",
        "--display", "1",
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        status = generate("resnet", options)
    if status:
        raise EngineError(f"the generator failed: {said.getvalue().strip()}")
    return folder / "model" / "solver.prototxt"


def trained(settings: Settings, solver: Path, precision: str) -> Found:
    """What came of one. Raises EngineError where `batchbrew train` fails."""
    run_folder = solver.parent / precision
    where = ["--cpu"] if settings.gpu is None else ["--gpu", str(settings.gpu)]
    command = [
        sys.executable, "-m", "batchbrew", "train", str(solver), "--engine", "torch", *where,
        "--precision", precision, "--max-restarts", "0", "--run", str(run_folder),
    ]  # fmt: skip
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"batchbrew train --precision {precision} ended with {done.returncode}: {last}")
    log = read_log(run_folder / "train.log")
    losses = list(log.loss.values)
    accuracy = log.tests[0]["accuracy"].values[-1]
    tail = losses[-max(1, len(losses) // 10) :]
    return {
        "precision": precision,
        "iterations": settings.training.iterations,
        "first_loss": round(losses[0], 4),
        "last_loss": round(sum(tail) / len(tail), 4),
        "top1_error_percent": round(100 * (1 - accuracy), 2),
        "seconds": round(seconds, 1),
    }


def faults(found: Found) -> list[str]:
    """Trainings that have not learned, or not the same."""
    rows = found["rows"]
    told = [
        f"{row['precision']}: the loss went from {row['first_loss']} to {row['last_loss']} only"
        for row in rows
        if not row["last_loss"] < found["learned_below"] * row["first_loss"]
    ]
    errors = [row["top1_error_percent"] for row in rows]
    if found["learned_below"] < 1 and max(errors) - min(errors) > APART_PERCENT:
        told.append(f"the errors of {', '.join(PRECISIONS)} are apart: {errors}")
    return told


def lines(found: Found) -> list[str]:
    """For the screen."""
    return [
        f"{row['precision']}: {row['iterations']} iterations, loss {row['first_loss']:.3f} to {row['last_loss']:.3f}, "
        f"top-1 error {row['top1_error_percent']:.2f}%, {row['seconds']:.1f} s with start and test"
        for row in found["rows"]
    ]
