"""What lint says: a finding is a fault in its place in a file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""error: Caffe ends, or what it computes is wrong; warning: a likely mistake; note: worth knowing."""


@dataclass(frozen=True)
class Finding:
    """One mistake. `line` counts from 1; `layer` is empty for what is said in a solver or of a whole net."""

    file: str
    line: int
    layer: str
    rule: str
    severity: Severity
    what: str
    why: str
    fix: str

    def to_json(self) -> dict[str, str | int]:
        """The fields by name."""
        return asdict(self)


def count(findings: Sequence[Finding], severity: Severity) -> int:
    """How many have this severity."""
    return sum(finding.severity == severity for finding in findings)
