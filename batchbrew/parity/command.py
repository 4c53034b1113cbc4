"""What `batchbrew parity` does; the command line only forwards to here."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.parity.campaign import Campaign, Tally
from batchbrew.parity.compare import Comparison
from batchbrew.parity.drawing import check_kinds
from batchbrew.parity.engines import bvlc, torch
from batchbrew.parity.table import as_json, check_page, in_words, print_table, report, write_table
from batchbrew.parity.tolerances import BF16
from batchbrew.solver.precision import DEFAULT_PRECISION
from batchbrew.training.engines import find_caffe_python

PRECISIONS = (DEFAULT_PRECISION, BF16)  # that a CPU has


def parity(
    *,
    rounds: int,
    types: Sequence[str],
    seed: int,
    number: int | None,
    seconds: float | None,
    json_file: Path | None,
    keep: Path | None,
    table: Path | None,
    caffe_python: Path | None,
    console: Console,
    layer_by_layer: bool = False,
    precision: str = "fp32",
) -> int:
    """Compare the engines and print what was found; return the exit code, 1 if a tolerance is broken.

    Raises InputError for options that make no sense, EngineError if an engine cannot be run.
    """
    kinds = check_kinds(types)
    if number is not None and len(types) != 1:
        raise InputError("--number is the number of a case of one type: name that with --types")
    if number is not None and seconds is not None:
        raise InputError("--number computes one case, --seconds many: leave one of them away")
    if precision not in PRECISIONS:
        raise InputError(
            f"--precision {precision}: there are {', '.join(PRECISIONS)}: both engines compute on the CPU"
        )
    if table is not None:
        check_page(table)
    options = " ".join(
        ["--layer-by-layer"] * layer_by_layer
        + [f"--precision {precision}"] * (precision != DEFAULT_PRECISION)
    )

    def tell(comparison: Comparison) -> None:
        console.print(in_words(comparison, options), style="red", markup=False)

    theirs = bvlc(find_caffe_python(caffe_python).path)
    with console.status("drawing") as status:
        ours = torch(precision=precision, fuses=not layer_by_layer)
        campaign = Campaign(theirs, ours, keep, tell, status.update)
        if number is not None:
            tallies = campaign.one(kinds[0], seed, number)
        elif seconds is not None:
            tallies = _for_seconds(campaign, kinds, seed, seconds, console)
        else:
            tallies = campaign.rounds(kinds, seed, rounds)
    found = report(tallies, options, seed=seed, rounds=rounds, number=number, seconds=seconds)
    print_table(found, console)
    if json_file is not None:
        write_file(json_file, as_json(found))
    if table is not None:
        write_table(found, table)
    return int(any(tally.broken for tally in tallies.values()))


def _for_seconds(
    campaign: Campaign, kinds: Sequence[str], seed: int, seconds: float, console: Console
) -> dict[str, Tally]:
    """Until the time is over or somebody has seen enough; what was found until then counts."""
    tallies: dict[str, Tally] = {}
    with contextlib.suppress(KeyboardInterrupt):
        for done, tallies in campaign.for_seconds(kinds, seed, seconds):
            console.print(_so_far(done, tallies), markup=False)
    return tallies


def _so_far(seed: int, tallies: dict[str, Tally]) -> str:
    compared = sum(tally.configurations for tally in tallies.values())
    broken = sum(len(tally.broken) for tally in tallies.values())
    forward = max(tally.forward[0].difference for tally in tallies.values())
    gradient = max(tally.gradient[0].difference for tally in tallies.values())
    worst = f"worst forward {forward:.1e}, gradient {gradient:.1e}"
    return f"seed {seed}: {compared} configurations, {broken} broken, {worst}"
