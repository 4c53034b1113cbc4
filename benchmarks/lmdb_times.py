"""Training from an LMDB of JPEGs beside the same training with made-up images: what do the data cost?"""

import functools
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import caffe_train
from asking import Asked, running
from benchmark_nets import BenchmarkNet, write_from_lmdb
from measuring import alternate, median_ratio
from step_times import Length
from subjects import ENGINE, Place, Subject, start_of

CAFFE_TRAIN = "caffe_train"
Row = dict[str, Any]


def measure_from_lmdb(
    net: BenchmarkNet,
    lmdb: Path,
    precisions: Sequence[str],
    place: Place,
    length: Length,
    caffe: Path | None = None,
) -> Row:
    """The engine in each precision, from `lmdb` and with made-up images; `caffe`, the program, beside it from `lmdb`.

    The iterations before those that count use up what was read ahead while others were measured.
    """
    subjects = [
        subject for each in precisions for subject in (Subject(ENGINE, each, lmdb), Subject(ENGINE, each))
    ]
    with tempfile.TemporaryDirectory(prefix="batchbrew-benchmark-") as name:
        folder = Path(name)
        with running({each.name: start_of(each, net, place, folder) for each in subjects}) as asked:
            turns: dict[str, Callable[[], float]] = {
                subject: functools.partial(step_seconds, each, length) for subject, each in asked.items()
            }
            if caffe is not None:
                solver = write_from_lmdb(net, folder / CAFFE_TRAIN, lmdb)
                turns[CAFFE_TRAIN] = functools.partial(
                    caffe_train.step_seconds, caffe, solver, length.steps, place.threads
                )
            return row_of(net, precisions, alternate(length.rounds, **turns))


def step_seconds(asked: Asked, length: Length) -> float:
    """Of one iteration."""
    return float(asked.ask(length.steps, length.lead_in)["seconds"]) / length.steps


def row_of(net: BenchmarkNet, precisions: Sequence[str], seconds: Mapping[str, Sequence[float]]) -> Row:
    """Speeds of all, and the engine's from the LMDB by that without it and by Caffe's; ratios are medians of rounds."""
    row: Row = {"net": net.name, "batch": net.batch, "crop": net.crop}
    row["subjects"] = {
        name: {
            "step_ms": round(1000 * statistics.median(taken), 1),
            "images_per_second": round(net.batch / statistics.median(taken), 2),
        }
        for name, taken in seconds.items()
    }
    for precision in precisions:
        made_up = f"{ENGINE}_{precision}"
        from_lmdb = seconds[f"{made_up}_lmdb"]
        row[f"{precision}_lmdb_by_synthetic"] = round(median_ratio(seconds[made_up], from_lmdb), 3)
        if CAFFE_TRAIN in seconds:
            row[f"{precision}_times_caffe_train"] = round(median_ratio(seconds[CAFFE_TRAIN], from_lmdb), 3)
    return row
