"""How the learning rate changes: Caffe's policies, what each is told, and each in a sentence."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.durations import LARGEST_INT32, exact_iterations, rounded_iterations
from batchbrew.solver.schedule import learning_rate

# What each policy is told besides base_lr and max_iter; schedule.py has the formulas.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "poly": ("power",),
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "multistep": ("gamma", "stepvalue"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "sigmoid": ("gamma", "stepsize"),
}


@dataclass(frozen=True)
class Decay:
    """A policy and its parameters; those that it does not take are left out.

    Steps are given once, in iterations or in epochs: `step_epochs` is "step"'s and "sigmoid"'s one stepsize, or
    "multistep"'s stepvalues. `power` may be left out of "poly" alone: it is 1, a linear decay to 0.
    """

    policy: str = "poly"
    power: float | None = None
    gamma: float | None = None
    stepsize_iters: int | None = None
    stepvalue_iters: tuple[int, ...] = ()
    step_epochs: tuple[float, ...] = ()


LINEAR = Decay()


def set_decay(solver: pb.SolverParameter, decay: Decay, *, train_images: int, batch_images: int) -> None:
    """Write `decay` into `solver`, whose base_lr and max_iter are set.

    Raises InputError for a parameter that is missing, out of range, or that the policy does not take, for steps
    in two units, and for a rate that grows beyond a C float.
    """
    _check_parameters(decay)
    solver.lr_policy = decay.policy
    if "power" in PARAMETERS[decay.policy]:
        solver.power = 1 if decay.power is None else decay.power
    if decay.gamma is not None:
        solver.gamma = decay.gamma
    steps = _steps(decay, train_images, batch_images)
    _check_steps(decay, steps, solver.max_iter)
    if decay.policy == "multistep":
        solver.stepvalue[:] = steps
    elif steps:
        solver.stepsize = steps[0]
    last = learning_rate(solver, solver.max_iter - 1)
    if not math.isfinite(last):
        raise InputError(
            f'lr_policy "{decay.policy}" brings the learning rate to {last} by iteration '
            f"{solver.max_iter - 1:,}: choose another gamma or power"
        )


def _check_parameters(decay: Decay) -> None:
    taken = PARAMETERS.get(decay.policy)
    if taken is None:
        raise InputError(
            f"lr_policy {decay.policy!r} is unknown: Caffe knows {', '.join(sorted(PARAMETERS))}"
        )
    given = {
        "power": decay.power is not None,
        "gamma": decay.gamma is not None,
        "stepsize": decay.stepsize_iters is not None,
        "stepvalue": bool(decay.stepvalue_iters),
    }
    for name, is_given in given.items():
        if is_given and name not in taken:
            users = ", ".join(policy for policy, names in PARAMETERS.items() if name in names)
            raise InputError(f'lr_policy "{decay.policy}" takes no {name}: leave it out; it is for {users}')
    step = next((name for name in ("stepsize", "stepvalue") if name in taken), None)
    if decay.step_epochs and step is None:
        raise InputError(
            f'lr_policy "{decay.policy}" takes no steps: leave them out; they are for step, multistep, sigmoid'
        )
    if decay.step_epochs and step is not None and given[step]:
        raise InputError(f"{step} and step_epochs say the same in two units: give one of them")
    if len(decay.step_epochs) > 1 and step == "stepsize":
        raise InputError(
            f'lr_policy "{decay.policy}" takes one step, not {len(decay.step_epochs)}: multistep takes several'
        )
    if step is not None and not decay.step_epochs and not given[step]:
        raise InputError(f'lr_policy "{decay.policy}" needs {step}, in iterations, or step_epochs')
    for name in ("gamma", "power"):
        if name in taken and not given[name] and decay.policy != "poly":
            raise InputError(f'lr_policy "{decay.policy}" needs {name}')
    _check_numbers(decay)


def _check_numbers(decay: Decay) -> None:
    if decay.gamma is not None and not 0 < decay.gamma < math.inf:
        raise InputError(f"gamma must be more than 0, not {decay.gamma:g}")
    if decay.power is not None and not math.isfinite(decay.power):
        raise InputError(f"power must be a number, not {decay.power:g}")
    if decay.policy == "poly" and decay.power is not None and decay.power <= 0:
        raise InputError(
            f'power of lr_policy "poly" must be more than 0, not {decay.power:g}: else nothing decays'
        )


def _steps(decay: Decay, train_images: int, batch_images: int) -> list[int]:
    """In iterations."""
    if decay.stepsize_iters is not None:
        return [decay.stepsize_iters]
    if decay.stepvalue_iters:
        return list(decay.stepvalue_iters)
    return [
        epochs_as_iters("step_epochs", epochs, train_images, batch_images) for epochs in decay.step_epochs
    ]


def epochs_as_iters(name: str, epochs: float, train_images: int, batch_images: int) -> int:
    """As a round number; raises InputError, with `name`, for what is no duration."""
    if not 0 < epochs < math.inf:
        raise InputError(f"{name} must be more than 0, not {epochs:g}")
    return rounded_iterations(exact_iterations(epochs, train_images, batch_images))


def _check_steps(decay: Decay, steps: list[int], max_iter: int) -> None:
    name = "stepvalue" if decay.policy == "multistep" else "stepsize"
    for before, step in zip([0, *steps], steps, strict=False):
        if not 1 <= step <= LARGEST_INT32:
            raise InputError(f"{name} must be from 1 to {LARGEST_INT32:,}, not {step:,}")
        if step <= before:
            raise InputError(f"each stepvalue must be later than the one before: {step:,} follows {before:,}")
        if step >= max_iter:
            raise InputError(f"{name} {step:,} is never reached: training ends after {max_iter:,} iterations")


def explain_decay(solver: pb.SolverParameter, decay: Decay) -> str:
    """How `solver`'s rate changes, as a sentence of plain ASCII."""
    return f"Learning rate: {_course(solver, in_epochs(*decay.step_epochs))}."


def in_iterations(iters: int) -> str:
    """Behind "every"."""
    return "iteration" if iters == 1 else f"{iters:,} iterations"


def in_epochs(*epochs: float | None) -> str:
    """What a user said in epochs, in brackets, behind the iterations that it came to."""
    numbers = [number for number in epochs if number is not None]
    if not numbers:
        return ""
    return f" ({_listed(f'{number:g}' for number in numbers)} epoch{'s' if numbers != [1] else ''})"


def _course(solver: pb.SolverParameter, epochs: str) -> str:
    rate, gamma = f"{solver.base_lr:.6g}", f"{solver.gamma:.6g}"
    half = f"{learning_rate(solver, solver.max_iter // 2):.4g} half-way"
    end = f"{learning_rate(solver, solver.max_iter - 1):.4g} at the end"
    match solver.lr_policy:
        case "fixed":
            return f"{rate} throughout"
        case "step":
            return f"from {rate}, times {gamma} every {in_iterations(solver.stepsize)}{epochs}: {end}"
        case "multistep":
            return (
                f"from {rate}, times {gamma} at {_listed(f'{s:,}' for s in solver.stepvalue)}{epochs}: {end}"
            )
        case "exp":
            return f"{rate} x {gamma}^iteration: {half}, {end}"
        case "inv":
            return f"{rate} x (1 + {gamma} x iteration)^{-solver.power:.6g}: {half}, {end}"
        case "sigmoid":
            exponent = f"-{gamma} x (iteration - {solver.stepsize:,})"
            return f"{rate} / (1 + exp({exponent})), rising{epochs}: {half}, {end}"
        case "poly" if solver.power == 1:
            return f"from {rate} linearly to 0"
        case _:
            return f"{rate} x (1 - iteration / {solver.max_iter:,})^{solver.power:.6g}: {half}, then to 0"


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{'; '.join(first)} and {last}" if first else last
