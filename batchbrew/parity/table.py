"""What a campaign found: as JSON, as a table on the screen, as a table in the documentation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.parity.campaign import Tally
from batchbrew.parity.case import Case
from batchbrew.parity.compare import FORWARD_TOLERANCE, GRADIENT_TOLERANCE, Comparison, Worst

BEGIN, END = "<!-- parity table: begin -->", "<!-- parity table: end -->"
HEADINGS = (
    "type", "configurations", "refused by both", "ill-conditioned", "worst forward", "worst gradient", "verdict",
)  # fmt: skip
ON_SCREEN = ("type", "cases", "refused", "unclear", "forward", "gradient", "verdict")
Report = dict[str, Any]


def report(tallies: Mapping[str, Tally], **about: object) -> Report:
    """Everything found, for JSON; `about` says how it was drawn."""
    return {
        **about,
        "forward_tolerance": FORWARD_TOLERANCE,
        "gradient_tolerance": GRADIENT_TOLERANCE,
        "types": {kind: _report_of(tally) for kind, tally in tallies.items()},
    }


def as_json(found: Report) -> str:
    """Infinite differences are written as null, which JSON has, and Infinity, which it has not, is not."""
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _report_of(tally: Tally) -> Report:
    return {
        "configurations": tally.configurations,
        "refused_by_both": tally.refused,
        "ill_conditioned": tally.ill_conditioned,
        "ill_conditioned_times_own": tally.times_own,
        "worst_forward": _worst(*tally.forward),
        "worst_gradient": _worst(*tally.gradient),
        "broken": [_broken(comparison) for comparison in tally.broken],
    }


def _finite(number: float) -> float | None:
    return number if number < float("inf") else None


def _worst(worst: Worst, case: Case | None) -> Report:
    told: Report = {"difference": _finite(worst.difference)}
    if case is not None and worst.difference:
        told |= {"where": worst.where, "reproduce": reproduce(case)}
    return told


def _broken(comparison: Comparison) -> Report:
    return {
        "reproduce": reproduce(comparison.case),
        "faults": list(comparison.faults),
        "forward": {"difference": _finite(comparison.forward.difference), "where": comparison.forward.where},
        "gradient": {
            "difference": _finite(comparison.gradient.difference),
            "where": comparison.gradient.where,
        },
    }


def reproduce(case: Case) -> str:
    """The command that computes this one case again and leaves its folder."""
    return f"batchbrew parity --types {case.kind} --seed {case.seed} --number {case.number} --keep kept"


def in_words(comparison: Comparison) -> str:
    """A broken case in one line: what is wrong, and how to see it again."""
    case = comparison.case
    wrong = list(comparison.faults)
    for what, worst, tolerance in (
        ("forward", comparison.forward, FORWARD_TOLERANCE),
        ("gradient", comparison.gradient, GRADIENT_TOLERANCE),
    ):
        if worst.difference > tolerance:
            wrong.append(f"{what} {worst.difference:.1e} ({worst.where})")
    return f"{case.kind} {case.number}, seed {case.seed}: {'; '.join(wrong)}. Again: {reproduce(case)}"


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
    lines = [
        f"Seed {found['seed']}, tolerances {found['forward_tolerance']:g} forward and "
        f"{found['gradient_tolerance']:g} for gradients.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "| --- | --: | --: | --: | --: | --: | --- |",
        *(f"| {' | '.join(row)} |" for row in rows(found)),
    ]
    return "\n".join(lines)


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
