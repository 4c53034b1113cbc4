"""What `batchbrew lint` does; the command line only forwards to here."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from batchbrew.errors import InputError
from batchbrew.lint.findings import count
from batchbrew.lint.image_contents import Sources
from batchbrew.lint.linter import RULES, lint_file
from batchbrew.lint.report import as_json, print_rules, print_text

FORMATS = ("text", "json")


def lint(
    paths: Sequence[Path],
    *,
    output_format: str,
    strict: bool,
    ignore: Sequence[str],
    list_rules: bool,
    console: Console,
) -> int:
    """Print what is wrong with nets and solvers; return the exit code.

    1: there is an error, or with `strict` a warning. Raises InputError for a file that is neither, for an
    unknown rule, and where no file is named.
    """
    if list_rules:
        print_rules(console)
        return 0
    if output_format not in FORMATS:
        raise InputError(f"--format {output_format} is not known: it is {' or '.join(FORMATS)}")
    if not paths:
        raise InputError("no file is named: batchbrew lint NET|SOLVER")
    for rule in ignore:
        _check_rule(rule)
    sources = Sources()
    findings = [finding for path in paths for finding in lint_file(path, ignore=ignore, sources=sources)]
    findings = list(dict.fromkeys(findings))
    files = [str(path) for path in paths]
    if output_format == "json":
        print(as_json(findings, files))
    else:
        print_text(findings, files, console)
    failed = count(findings, "error") or (strict and count(findings, "warning"))
    return 1 if failed else 0


def _check_rule(name: str) -> None:
    if name not in RULES:
        near = difflib.get_close_matches(name, RULES, n=1)
        hint = f"did you mean {near[0]}?" if near else "--list-rules lists them"
        raise InputError(f"--ignore {name}: there is no such rule: {hint}")
