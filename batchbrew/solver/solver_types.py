"""Caffe's rules for updating weights (`type` in a solver), and the numbers that each takes."""

import math
from dataclasses import dataclass

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

# AdaGrad and RMSProp end the process if they find a momentum. Adam's momentum and momentum2 are its beta1 and beta2;
# AdaDelta's momentum is the weight of its running means.
NUMBERS: dict[str, tuple[str, ...]] = {
    "SGD": ("momentum",),
    "Nesterov": ("momentum",),
    "AdaGrad": ("delta",),
    "RMSProp": ("rms_decay", "delta"),
    "AdaDelta": ("momentum", "delta"),
    "Adam": ("momentum", "momentum2", "delta"),
}
WITH_RATES_OF_SGD = (
    "SGD",
    "Nesterov",
)  # the others divide by the gradient's size, and want much smaller rates


@dataclass(frozen=True)
class UpdateRule:
    """A solver's type; a number that is None is left to Caffe's default, or not of that type."""

    type: str = "SGD"
    momentum2: float | None = None
    rms_decay: float | None = None
    delta: float | None = None


PLAIN_SGD = UpdateRule()


def set_update_rule(solver: pb.SolverParameter, rule: UpdateRule, momentum: float | None) -> None:
    """Write `rule` and `momentum` into `solver`. Raises InputError for a number out of range or not of that type."""
    taken = NUMBERS.get(rule.type)
    if taken is None:
        raise InputError(f"solver type {rule.type!r} is unknown: Caffe knows {', '.join(NUMBERS)}")
    solver.type = rule.type
    numbers = {
        "momentum": momentum,
        "momentum2": rule.momentum2,
        "rms_decay": rule.rms_decay,
        "delta": rule.delta,
    }
    for name, number in numbers.items():
        if number is None:
            continue
        if name not in taken:
            users = ", ".join(type_ for type_, names in NUMBERS.items() if name in names)
            raise InputError(f"solver type {rule.type} takes no {name}: leave it out; it is for {users}")
        _check(name, number)
        setattr(solver, name, number)


def takes_momentum(type_: str) -> bool:
    """Whether a momentum may stand in a solver of that type, a key of NUMBERS."""
    return "momentum" in NUMBERS[type_]


def _check(name: str, number: float) -> None:
    if name == "delta":
        if not 0 < number < math.inf:
            raise InputError(f"delta must be more than 0, not {number:g}")
    elif not 0 <= number < 1:
        raise InputError(f"{name} must be at least 0 and less than 1, not {number:g}")
