"""What a campaign found: as JSON, as a table on the screen, as a table in the documentation."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.parity.campaign import Tally
from batchbrew.parity.case import Case
from batchbrew.parity.compare import Comparison, Worst
from batchbrew.parity.tolerances import BF16, BF16_LAYER, BF16_NET, FP32

BEGIN, END = "<!-- parity table: begin -->", "<!-- parity table: end -->"
HEADINGS = (
    "type", "configurations", "refused by both", "ill-conditioned", "worst forward", "worst gradient", "verdict",
)  # fmt: skip
ON_SCREEN = ("type", "cases", "refused", "unclear", "forward", "gradient", "verdict")
Report = dict[str, Any]


def report(tallies: Mapping[str, Tally], options: str = "", **about: object) -> Report:
    """Everything found, for JSON; `about` says how it was drawn, `options` are those that say how ours computed."""
    return {
        **about,
        "options": options,
        "tolerances": {
            "fp32": asdict(FP32),
            "bf16": {"layer": asdict(BF16_LAYER), "net": asdict(BF16_NET)},
        },
        "types": {kind: _report_of(tally, options) for kind, tally in tallies.items()},
    }


def as_json(found: Report) -> str:
    """Infinite differences are written as null, which JSON has, and Infinity, which it has not, is not."""
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _report_of(tally: Tally, options: str) -> Report:
    return {
        "configurations": tally.configurations,
        "refused_by_both": tally.refused,
        "ill_conditioned": tally.ill_conditioned,
        "ill_conditioned_times_own": tally.times_own,
        "worst_forward": _worst(*tally.forward, options),
        "worst_gradient": _worst(*tally.gradient, options),
        "broken": [_broken(comparison, options) for comparison in tally.broken],
    }


def _finite(number: float) -> float | None:
    return number if number < float("inf") else None


def _worst(worst: Worst, case: Case | None, options: str) -> Report:
    told: Report = {"difference": _finite(worst.difference)}
    if case is not None and worst.difference:
        told |= {"where": worst.where, "reproduce": reproduce(case, options)}
    return told


def _broken(comparison: Comparison, options: str) -> Report:
    return {
        "reproduce": reproduce(comparison.case, options),
        "faults": list(comparison.faults),
        "forward": {"difference": _finite(comparison.forward.difference), "where": comparison.forward.where},
        "gradient": {
            "difference": _finite(comparison.gradient.difference),
            "where": comparison.gradient.where,
        },
    }


def reproduce(case: Case, options: str = "") -> str:
    """The command that computes this one case again and leaves its folder."""
    which = f"--types {case.kind} --seed {case.seed} --number {case.number}"
    return " ".join(filter(None, ["batchbrew parity", which, options, "--keep kept"]))


def in_words(comparison: Comparison, options: str = "") -> str:
    """A broken case in one line: what is wrong, and how to see it again."""
    case = comparison.case
    wrong = list(comparison.faults)
    for what, worst, tolerance in (
        ("forward", comparison.forward, comparison.tolerances.forward),
        ("gradient", comparison.gradient, comparison.tolerances.gradient),
    ):
        if worst.difference > tolerance:
            wrong.append(f"{what} {worst.difference:.1e} ({worst.where})")
    return (
        f"{case.kind} {case.number}, seed {case.seed}: {'; '.join(wrong)}. Again: {reproduce(case, options)}"
    )


def rows(found: Report) -> list[tuple[str, ...]]:
    """Cells in the order of HEADINGS."""
    return [
        (
            kind,
            str(of["configurations"]),
            str(of["refused_by_both"]),
            str(of["ill_conditioned"]),
            _number(of["worst_forward"]["difference"]),
            _number(of["worst_gradient"]["difference"]),
            _verdict(of),
        )
        for kind, of in found["types"].items()
    ]


def _number(difference: float | None) -> str:
    if difference is None:
        return "differs"
    return f"{difference:.1e}" if difference else "0"


def _verdict(of: Report) -> str:
    if of["broken"]:
        return f"{len(of['broken'])} broken"
    if not of["configurations"]:
        return "none"
    if of["ill_conditioned"] == of["configurations"]:
        return "unclear"  # nothing was compared
    return "same"


def print_table(found: Report, console: Console) -> None:
    """`unclear` are the ill-conditioned ones."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for heading in ON_SCREEN:
        is_word = heading in ("type", "verdict")
        table.add_column(heading, justify="left" if is_word else "right", no_wrap=True)
    for row in rows(found):
        style = "red" if "broken" in row[-1] else "yellow" if row[-1] != "same" else None
        table.add_row(*row, style=style)
    console.print(table)


def markdown(found: Report) -> str:
    """The same table for a page, with a line on how it was made."""
    options = found["options"]
    lines = [
        f"Seed {found['seed']}{f', with {options}' if options else ''}; tolerances {_tolerances(options)}.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "| --- | --: | --: | --: | --: | --: | --- |",
        *(f"| {' | '.join(row)} |" for row in rows(found)),
    ]
    return "\n".join(lines)


def _tolerances(options: str) -> str:
    exact = f"{FP32.forward:g} forward and {FP32.gradient:g} for gradients"
    if BF16 not in options:
        return exact
    layers, nets = (f"{each.forward:.2g} and {each.gradient:.2g}" for each in (BF16_LAYER, BF16_NET))
    return f"{layers} for layers that round, {nets} for nets that have them, {exact} for all others"


def check_page(page: Path) -> str:
    """The page's text, in which the table is to be put. Raises InputError if it has no place for it."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise InputError(f"--write-table {page}: cannot be read: {error}") from error
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(
            f"--write-table {page}: has no place for the table: write {BEGIN} and {END} there, a line each"
        )
    return text


def write_table(found: Report, page: Path) -> None:
    """Replace what stands between the page's two marks."""
    text = check_page(page)
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    write_file(page, f"{before}{BEGIN}\n{markdown(found)}\n{after}")
