"""Reads a net or a solver with its nets, and lets every rule look at it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from batchbrew.errors import InputError
from batchbrew.lint import rules
from batchbrew.lint.findings import SEVERITIES, Finding
from batchbrew.lint.image_contents import Sources
from batchbrew.lint.outline import Outline, kind_of, read_outline
from batchbrew.lint.registry import NET_RULES, SOLVER_RULES, Fault, NetCase, Rule, SolverCase
from batchbrew.lint.views import NetFile, State, View, views_of
from batchbrew.nets.upgrade import upgraded
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt

RULES: dict[str, Rule[Any]] = {**NET_RULES, **SOLVER_RULES}
assert rules  # importing them has registered them


def lint_file(path: Path, *, ignore: Collection[str] = (), sources: Sources | None = None) -> list[Finding]:
    """What is wrong with the net or solver at `path`, by file and line; a solver's nets are looked at too.

    Paths in the files are seen from the working directory, as Caffe sees them. Raises InputError if the file
    cannot be read, or is neither.
    """
    sources = sources or Sources()
    outline = _outline(path)
    kind = kind_of(outline) if outline is not None else pb.NetParameter
    if kind is pb.SolverParameter:
        assert outline is not None
        findings = list(_lint_solver(path, outline, sources))
    elif kind is pb.NetParameter:
        file = read_net(path)
        findings = list(_lint_net(NetCase(file, tuple(views_of(file)), sources)))
    else:
        raise InputError(f"{path} is neither a network nor a solver: there is nothing in it that tells")
    kept = [finding for finding in _told_once(findings) if finding.rule not in ignore]
    files = list(dict.fromkeys(finding.file for finding in kept))
    return sorted(kept, key=lambda f: (files.index(f.file), f.line, SEVERITIES.index(f.severity), f.rule))


def _told_once(findings: Sequence[Finding]) -> list[Finding]:
    """Without repetitions, and without "shapes" where a rule that knows more speaks of the same layer."""
    explained = {(f.file, f.layer) for f in findings if f.severity == "error" and f.rule != "shapes"}
    return [f for f in dict.fromkeys(findings) if f.rule != "shapes" or (f.file, f.layer) not in explained]


def read_net(path: Path) -> NetFile:
    """The net at `path`, in today's form. Raises InputError if there is none."""
    net = read_prototxt(path, pb.NetParameter)
    outline = _outline(path)
    assert outline is not None, "it has just been read"
    return NetFile(str(path), _in_todays_form(net), outline)


def _in_todays_form(net: pb.NetParameter) -> pb.NetParameter:
    """Caffe's upgrade mends what BatchNorm layers say of their multipliers; here they are kept, to be looked at."""
    new = upgraded(net)
    if new is net or net.layers:
        return new
    own = new.layer[len(new.layer) - len(net.layer) :]
    for mended, written in zip(own, net.layer, strict=True):
        mended.CopyFrom(written)
    return new


def _outline(path: Path) -> Outline | None:
    """None for what cannot be cut into tokens: reading it properly says why."""
    try:
        return read_outline(path.read_bytes().decode("utf-8", "surrogateescape"), str(path))
    except (InputError, OSError):
        return None


def _lint_net(case: NetCase) -> Iterator[Finding]:
    net = case.file.net
    for rule in NET_RULES.values():
        for fault in rule.check(case):
            layer = fault.at if isinstance(fault.at, pb.LayerParameter) else None
            line = 1 if layer is None else case.file.outline.line_of_layer(net, layer)
            yield _finding(case.file.path, line, "" if layer is None else layer.name, rule, fault)


def _lint_solver(path: Path, outline: Outline, sources: Sources) -> Iterator[Finding]:
    solver = read_prototxt(path, pb.SolverParameter)
    files = _NetFiles(path)
    train = files.view(_train_net(solver), _state(solver.train_state, pb.TRAIN))
    tests = [
        files.view(name, _state(state, pb.TEST)) for name, state in zip(*_test_nets(solver), strict=True)
    ]
    case = SolverCase(
        path=str(path),
        text=path.read_text(encoding="utf-8", errors="surrogateescape"),
        solver=solver,
        outline=outline,
        train=train,
        tests=tuple(view for view in tests if view is not None),
        sources=sources,
    )
    for rule in SOLVER_RULES.values():
        for fault in rule.check(case):
            line = outline.line_of_field(fault.at) if isinstance(fault.at, str) else 1
            yield _finding(str(path), line, "", rule, fault)
    for views in files.views():
        yield from _lint_net(NetCase(views[0].file, views, sources, solver))


class _NetFiles:
    """The nets that a solver names, each read once."""

    def __init__(self, solver_path: Path) -> None:
        self.folder = solver_path.parent
        self._files: dict[str, NetFile | None] = {}
        self._views: list[View] = []

    def view(self, name: str, state: State) -> View | None:
        """None for a net that is not there: a rule says so."""
        if not name:
            return None
        if name not in self._files:
            path = find_net(name, self.folder)
            self._files[name] = read_net(path) if path is not None else None
        file = self._files[name]
        if file is None:
            return None
        self._views.append(View(file, state))
        return self._views[-1]

    def views(self) -> Iterable[tuple[View, ...]]:
        """The views of each file."""
        for file in self._files.values():
            views = tuple(view for view in self._views if view.file is file)
            if views:
                yield views


def find_net(name: str, solver_folder: Path) -> Path | None:
    """Where a solver's net is: seen from the working directory, or else beside the solver."""
    places = (Path(name), solver_folder / Path(name).name)
    return next((place for place in places if place.is_file()), None)


def _train_net(solver: pb.SolverParameter) -> str:
    return solver.train_net or solver.net


def _test_nets(solver: pb.SolverParameter) -> tuple[list[str], list[pb.NetState]]:
    """Caffe's order (solver.cpp, InitTestNets): first those of its own, then `net` for each test_iter left over."""
    own = [*[""] * len(solver.test_net_param), *solver.test_net]
    generic = max(len(solver.test_iter) - len(own), 0) if solver.net else 0
    names = [*own, *[solver.net] * generic]
    states = [*solver.test_state, *[pb.NetState()] * len(names)]
    return names, states[: len(names)]


def _state(state: pb.NetState, phase: int) -> State:
    return State(phase, state.level, tuple(state.stage))


def _finding(file: str, line: int, layer: str, rule: Rule[Any], fault: Fault) -> Finding:
    return Finding(
        file,
        line,
        layer,
        rule.name,
        fault.severity or rule.severity,
        fault.what,
        fault.why or rule.why,
        fault.fix,
    )
