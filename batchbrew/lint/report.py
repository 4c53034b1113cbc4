"""Findings for people and for programs."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from batchbrew.lint.findings import SEVERITIES, Finding, Severity, count
from batchbrew.lint.linter import RULES

STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_text(findings: Sequence[Finding], files: Sequence[str], console: Console) -> None:
    """Grouped by file; then how many of each severity."""
    for file in dict.fromkeys([*files, *(finding.file for finding in findings)]):
        own = [finding for finding in findings if finding.file == file]
        console.print(f"[bold]{escape(file)}[/]" + ("" if own else ": nothing found"))
        for group in _groups(own):
            _print_group(group, console)
    if findings:
        console.print(_counts(findings))


def _groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Those that differ in line and layer alone are said once: a net has fifty BatchNorm layers."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.rule, finding.severity, finding.what, finding.why, finding.fix)
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _print_group(group: Sequence[Finding], console: Console) -> None:
    first, *others = group
    style = STYLES[first.severity]
    layer = f" {escape(first.layer)}:" if first.layer else ""
    console.print(
        f"  [{style}]{first.severity}[/] line {first.line}:{layer} {escape(first.what)} [dim]\\[{first.rule}][/]"
    )
    if others:
        places = ", ".join(f"{finding.layer} (line {finding.line})" for finding in others)
        console.print(f"    also: {escape(places)}")
    console.print(f"    why: {escape(first.why)}")
    console.print(f"    fix: {escape(first.fix)}")


def _counts(findings: Sequence[Finding]) -> str:
    numbers = {severity: count(findings, severity) for severity in SEVERITIES}
    return ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in numbers.items())


def as_json(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """One object: the files that were named, the findings, and how many there are of each severity."""
    report = {
        "files": list(files),
        "findings": [finding.to_json() for finding in findings],
        **{f"{severity}s": count(findings, severity) for severity in SEVERITIES},
    }
    return json.dumps(report, indent=1, ensure_ascii=False)


def print_rules(console: Console) -> None:
    """Every rule, its usual severity and what it looks for, in the order of their names."""
    width = max(map(len, RULES))
    for name, rule in sorted(RULES.items()):
        console.print(
            f"{name:{width}}  [{STYLES[rule.severity]}]{rule.severity:7}[/]  {escape(rule.summary)}"
        )
