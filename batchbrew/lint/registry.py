"""The rules: what each looks at, and what it says of itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from batchbrew.lint.findings import Severity
from batchbrew.lint.image_contents import Sources
from batchbrew.lint.outline import Outline
from batchbrew.lint.views import NetFile, View
from batchbrew.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class Fault:
    """What a rule found. `at` is the layer, or the name of a solver's field; None for the file as a whole.

    `why` and `severity` stand in for the rule's own.
    """

    at: pb.LayerParameter | str | None
    what: str
    fix: str
    why: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, eq=False)
class NetCase:
    """A net file, the states to look at it in, and the solver that uses it, if lint began with one."""

    file: NetFile
    views: tuple[View, ...]
    sources: Sources
    solver: pb.SolverParameter | None = None

    @property
    def training(self) -> View | None:
        """The net that learns, if this file has one."""
        return next((view for view in self.views if view.training), None)


@dataclass(frozen=True, eq=False)
class SolverCase:
    """A solver file with its nets, as far as they could be read."""

    path: str
    text: str
    solver: pb.SolverParameter
    outline: Outline
    train: View | None
    tests: tuple[View, ...]
    sources: Sources


Case = TypeVar("Case", NetCase, SolverCase)
Check = Callable[[Case], Iterator[Fault]]


@dataclass(frozen=True)
class Rule(Generic[Case]):
    """A named check; `summary` says what it looks for, `why` why that matters."""

    name: str
    severity: Severity
    summary: str
    why: str
    check: Check[Case]


NET_RULES: dict[str, Rule[NetCase]] = {}
SOLVER_RULES: dict[str, Rule[SolverCase]] = {}


def net_rule(
    name: str, severity: Severity, summary: str, *, why: str
) -> Callable[[Check[NetCase]], Check[NetCase]]:
    """Register a check of nets."""

    def register(check: Check[NetCase]) -> Check[NetCase]:
        assert name not in NET_RULES, name
        NET_RULES[name] = Rule(name, severity, summary, why, check)
        return check

    return register


def solver_rule(
    name: str, severity: Severity, summary: str, *, why: str
) -> Callable[[Check[SolverCase]], Check[SolverCase]]:
    """Register a check of solvers."""

    def register(check: Check[SolverCase]) -> Check[SolverCase]:
        assert name not in SOLVER_RULES, name
        SOLVER_RULES[name] = Rule(name, severity, summary, why, check)
        return check

    return register
