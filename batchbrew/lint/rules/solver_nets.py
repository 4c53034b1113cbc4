"""What a solver trains, and by which rule: its nets, its type."""

from collections.abc import Iterator
from pathlib import Path

from batchbrew.lint.registry import Fault, SolverCase, solver_rule
from batchbrew.solver.solver_types import NUMBERS

TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@solver_rule(
    "solver-net",
    "error",
    "no net, several, or one that is not there",
    why="Caffe ends when it starts; it sees paths from the folder in which it is started.",
)
def solver_net(case: SolverCase) -> Iterator[Fault]:
    """Real Caffe: "SolverParameter must specify a train net", "must not contain more than one of these fields"."""
    solver = case.solver
    given = [field for field in TRAIN_FIELDS if solver.HasField(field)]
    if not given:
        yield Fault(None, "no net is named", 'net: "train_val.prototxt"')
    elif len(given) > 1:
        yield Fault(given[1], f"{' and '.join(given)} are given", f"keep {given[0]}, or {given[1]}")
    for field, path in (("net", solver.net), ("train_net", solver.train_net), *_test_nets(case)):
        if path and not Path(path).is_file():
            beside = Path(case.path).parent / Path(path).name
            found = f"; {beside} is looked at instead" if beside.is_file() else ""
            yield Fault(
                field,
                f"{path} does not exist, seen from {Path.cwd()}{found}",
                "mend the path, or start from the folder that the path begins in",
            )
    for field in ("net_param", "train_net_param", "test_net_param"):
        if len(case.outline.fields) and field in case.outline.fields:
            yield Fault(
                field,
                "a net inside a solver is not looked at",
                "a file of its own, named by net",
                why="batchbrew train does not take it either.",
                severity="note",
            )


def _test_nets(case: SolverCase) -> Iterator[tuple[str, str]]:
    for path in case.solver.test_net:
        yield "test_net", path


@solver_rule(
    "weights-missing",
    "error",
    "weights that are not there",
    why="Caffe ends when it starts; it sees paths from the folder in which it is started.",
)
def weights_missing(case: SolverCase) -> Iterator[Fault]:
    """Each entry may list several files with commas. Real Caffe: "Couldn't open none.caffemodel"."""
    for path in (path.strip() for entry in case.solver.weights for path in entry.split(",")):
        if path and not Path(path).is_file():
            yield Fault(
                "weights",
                f"{path} does not exist, seen from {Path.cwd()}",
                "mend the path, or start from the folder that the path begins in",
            )


@solver_rule(
    "solver-type",
    "error",
    "a type that Caffe does not know, two types, or a momentum that does not fit the type",
    why="Caffe ends when it starts.",
)
def solver_type(case: SolverCase) -> Iterator[Fault]:
    """Real Caffe: "Unknown solver type", "old solver_type field ... cannot be both specified", "Momentum cannot be
    used with AdaGrad"; Adam without momentum trains with beta1 = 0.
    """
    solver = case.solver
    if solver.HasField("type") and solver.HasField("solver_type"):
        yield Fault("solver_type", "type and solver_type are both given", "keep type, the newer one")
        return
    kind = _type(case)
    if kind not in NUMBERS:
        yield Fault("type", f"type is {kind!r}", f"one of {', '.join(NUMBERS)}")
    elif "momentum" not in NUMBERS[kind] and solver.momentum:
        yield Fault(
            "momentum", f"momentum is {solver.momentum:g}, and {kind} takes none", "leave momentum out"
        )
    elif kind in ("Adam", "AdaDelta") and not solver.momentum:
        yield Fault(
            "type",
            f"{kind} without momentum",
            "momentum: 0.9" if kind == "Adam" else "momentum: 0.95",
            why="Caffe's default is 0: Adam then has no first moment (beta1), AdaDelta no running mean.",
            severity="warning",
        )
    elif not 0 <= solver.momentum < 1:
        yield Fault(
            "momentum",
            f"momentum is {solver.momentum:g}",
            "momentum: 0.9",
            why="Each update is the one before times momentum: from 1 on they only grow.",
        )


def _type(case: SolverCase) -> str:
    solver = case.solver
    if not solver.HasField("solver_type"):
        return solver.type
    names = {name.upper(): name for name in NUMBERS}
    old = solver.DESCRIPTOR.enum_types_by_name["SolverType"].values_by_number[solver.solver_type].name
    return names[old]
