"""Rate and duration: base_lr, lr_policy and its parameters, max_iter, iter_size."""

from collections.abc import Iterator
from itertools import pairwise

from batchbrew.lint.registry import Fault, SolverCase, solver_rule
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.decay import PARAMETERS

NEVER_FALLS = "The rate stays at base_lr to the end."


@solver_rule(
    "max-iter",
    "error",
    "no max_iter, or no pass in an iteration",
    why="Caffe then trains not at all.",
)
def max_iter(case: SolverCase) -> Iterator[Fault]:
    """An explicit max_iter: 0, as in the releases' test.solver, is a way to test: a note. iter_size 0: all nan."""
    solver = case.solver
    if not solver.HasField("max_iter"):
        yield Fault(None, "max_iter is not given", "max_iter: the iterations to train")
    elif solver.max_iter == 0:
        yield Fault(
            "max_iter", "max_iter is 0: nothing is trained", "none, if it is for a test only", severity="note"
        )
    elif solver.max_iter < 0:
        yield Fault("max_iter", f"max_iter is {solver.max_iter}", "max_iter: the iterations to train")
    if solver.iter_size < 1:
        yield Fault(
            "iter_size",
            f"iter_size is {solver.iter_size}",
            "iter_size: 1",
            why="Caffe divides the gradient by it: all weights become nan.",
        )


@solver_rule(
    "base-lr",
    "error",
    "no base_lr, or 0",
    why="Nothing is learned: every update is the learning rate times something.",
)
def base_lr(case: SolverCase) -> Iterator[Fault]:
    """Real Caffe trains on without a word, and no weight changes."""
    solver = case.solver
    if solver.max_iter > 0 and solver.base_lr <= 0:
        said = f"base_lr is {solver.base_lr:g}" if solver.HasField("base_lr") else "base_lr is not given"
        yield Fault("base_lr", said, "base_lr: 0.01, or what the net's recipe says")


@solver_rule(
    "lr-policy",
    "error",
    "an lr_policy that Caffe does not know, or one without its parameters",
    why="Caffe ends at the first iteration.",
)
def lr_policy(case: SolverCase) -> Iterator[Fault]:
    """Real Caffe: "Unknown learning rate policy", "Check failed: stepsize > 0"; the rest it takes silently.

    gamma's default is 0: step, multistep, exp fall to 0 with the first step, inv and sigmoid stay as they are.
    power's is 0: poly and inv stay at base_lr.
    """
    solver = case.solver
    policy = solver.lr_policy
    if policy not in PARAMETERS:
        said = f"lr_policy is {policy!r}" if policy else "lr_policy is not given"
        yield Fault("lr_policy", said, f"one of {', '.join(sorted(PARAMETERS))}")
        return
    for name in PARAMETERS[policy]:
        given = bool(solver.stepvalue) if name == "stepvalue" else solver.HasField(name)
        if given:
            continue
        what, why, fix = _MISSING[policy, name]
        yield Fault("lr_policy", f'lr_policy "{policy}" without {name}{what}', fix, why=why)
    if solver.gamma < 0:
        yield Fault("gamma", f"gamma is {solver.gamma:g}", "gamma: 0.1")


_ZERO = (": it is 0", "With the first step the rate is 0, and nothing is learned any more.", "gamma: 0.1")
_STEPSIZE = ("", "", "stepsize: the iterations between two steps")
_CONSTANT_GAMMA = (": it is 0", "The rate is the same throughout.", "gamma, as the recipe says")
_MISSING = {
    ("step", "gamma"): _ZERO,
    ("multistep", "gamma"): _ZERO,
    ("exp", "gamma"): (": it is 0", "From the second iteration on the rate is 0.", "gamma: a little below 1"),
    ("inv", "gamma"): _CONSTANT_GAMMA,
    ("sigmoid", "gamma"): _CONSTANT_GAMMA,
    ("step", "stepsize"): _STEPSIZE,
    ("sigmoid", "stepsize"): _STEPSIZE,
    ("multistep", "stepvalue"): (
        "",
        NEVER_FALLS,
        "stepvalue: an iteration at which the rate falls, once for each",
    ),
    ("poly", "power"): (": it is 0", NEVER_FALLS, "power: 1"),
    ("inv", "power"): (": it is 0", NEVER_FALLS, "power: 0.75"),
}


@solver_rule(
    "decay-steps",
    "warning",
    "steps of the rate that training never reaches, or that do not rise",
    why="The rate does not fall when it is meant to.",
)
def decay_steps(case: SolverCase) -> Iterator[Fault]:
    """Real Caffe looks at one stepvalue an iteration: with 5 and 2 the rate falls at 5 and at 6."""
    solver = case.solver
    if solver.max_iter < 1:
        return
    if solver.lr_policy == "step" and solver.stepsize >= solver.max_iter:
        yield Fault(
            "stepsize",
            f"the first step is at {solver.stepsize:,}, and training ends at {solver.max_iter:,}",
            f"a stepsize below {solver.max_iter:,}, or a larger max_iter",
            why=NEVER_FALLS,
        )
    if solver.lr_policy == "multistep":
        yield from _stepvalues(solver)


def _stepvalues(solver: pb.SolverParameter) -> Iterator[Fault]:
    late = [value for value in solver.stepvalue if value >= solver.max_iter]
    if late:
        yield Fault(
            "stepvalue",
            f"stepvalue {', '.join(f'{value:,}' for value in late)} is never reached: training ends at "
            f"{solver.max_iter:,}",
            "a smaller stepvalue, or a larger max_iter",
        )
    for before, value in pairwise(solver.stepvalue):
        if value <= before:
            yield Fault(
                "stepvalue",
                f"stepvalue {value:,} follows {before:,}",
                "stepvalues in rising order",
                why=f"Caffe looks at them one after the other: the rate falls at {before:,}, and right after it again.",
            )
