"""The time of a training step of a net in several engines, and what one is by another."""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asking import Measured, in_turn, running
from benchmark_nets import BenchmarkNet
from measuring import median_ratio
from subjects import BVLC, ENGINE, PLAIN, Place, Subject, start_of

from batchbrew.solver.precision import PRECISIONS

MEGABYTE = 1 << 20
Row = dict[str, Any]
Report = dict[str, Any]


@dataclass(frozen=True)
class Length:
    """Of a measurement: rounds that count, iterations in each, and iterations before those that do not count."""

    rounds: int
    steps: int
    lead_in: int = 0


def measure(
    net: BenchmarkNet,
    subjects: Sequence[Subject],
    place: Place,
    length: Length,
    told: Callable[[str], None] = lambda what: None,
) -> dict[str, Measured]:
    """All subjects training `net`, in alternating rounds; by name. Raises EngineError if one cannot."""
    with tempfile.TemporaryDirectory(prefix="batchbrew-benchmark-") as folder:
        starts = {each.name: start_of(each, net, place, Path(folder)) for each in subjects}
        with running(starts) as asked:
            return in_turn(
                asked, rounds=length.rounds, steps=length.steps, lead_in=length.lead_in,
                told=lambda what: told(f"{net.title}: {what}"),
            )  # fmt: skip


def row_of(net: BenchmarkNet, measured: Mapping[str, Measured]) -> Row:
    """Everything of one net, for JSON: the subjects, and the engine's speed in units of BVLC's and plain PyTorch's."""
    row: Row = {"net": net.name, "batch": net.batch, "crop": net.crop, "classes": net.classes}
    row["subjects"] = {
        name: {
            "step_ms": round(1000 * each.step_seconds, 1),
            "fastest_step_ms": round(1000 * min(each.seconds), 1),
            "images_per_second": round(net.batch / each.step_seconds, 2),
            "peak_mb": round(each.peak_bytes / MEGABYTE),
        }
        for name, each in measured.items()
    }
    for precision in PRECISIONS:
        ours = measured.get(f"{ENGINE}_{precision}")
        for peer, name in ((BVLC, BVLC), (PLAIN, f"{PLAIN}_{precision}")):
            if ours is not None and (theirs := measured.get(name)) is not None:
                row[f"{precision}_times_{peer}"] = round(median_ratio(theirs.seconds, ours.seconds), 3)
                row[f"{precision}_memory_by_{peer}"] = round(ours.peak_bytes / theirs.peak_bytes, 3)
    return row


def report(rows: Sequence[Row], length: Length) -> Report:
    """The rows and, over all nets, how many times as fast as each peer the engine is; None: not measured."""
    means: Report = {
        "geomean_fp32": geometric_mean(rows, "fp32_times_bvlc"),
        "geomean_bf16": geometric_mean(rows, "bf16_times_bvlc"),
    }
    for precision in PRECISIONS:
        means[f"geomean_{precision}_plain"] = geometric_mean(rows, f"{precision}_times_plain")
    return {**means, "rounds": length.rounds, "steps": length.steps, "rows": list(rows)}


def geometric_mean(rows: Sequence[Row], key: str) -> float | None:
    """Of that number of all rows; None where one has it not, or where there is none."""
    factors = [row.get(key) for row in rows]
    if not factors or None in factors:
        return None
    return round(math.exp(sum(math.log(factor) for factor in factors if factor) / len(factors)), 3)
