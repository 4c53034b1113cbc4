"""The learning rate of an iteration, by each of Caffe 1.0's policies.

Caffe computes with 32-bit floats, and so is it done here: near the end of "poly", where a small difference of
two numbers near 1 is taken, a 64-bit result is off by a per cent and more from what Caffe trains with.
"""

import math
import struct
from collections.abc import Callable

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

LARGEST_FLOAT32 = 3.4028235677973366e38  # from here on a 64-bit float rounds to infinity


def learning_rate(solver: pb.SolverParameter, iteration: int) -> float:
    """The rate that Caffe multiplies the gradient with in `iteration`, counted from 0, before `lr_mult`.

    Outside a policy's domain the result is what IEEE arithmetic, and so Caffe, gives: past `max_iter` the
    rate of "poly" is negative, or not a number. Raises InputError where Caffe aborts: at an unknown policy, a
    negative gamma, a stepsize below 1.
    """
    assert iteration >= 0, iteration
    policy = _POLICIES.get(solver.lr_policy)
    if policy is None:
        known = ", ".join(sorted(_POLICIES))
        raise InputError(f"lr_policy {solver.lr_policy!r} is unknown: Caffe knows {known}")
    return _float32(policy(solver, iteration))


def rate_after_steps(solver: pb.SolverParameter, steps: int) -> float:
    """The rate of "multistep" after so many steps, when a run's state and not its iteration tells how many."""
    return _float32(solver.base_lr * _power(_gamma(solver), steps))


def _fixed(solver: pb.SolverParameter, iteration: int) -> float:
    return solver.base_lr


def _step(solver: pb.SolverParameter, iteration: int) -> float:
    """base_lr · gamma ^ floor(iteration / stepsize)"""
    return solver.base_lr * _power(_gamma(solver), iteration // _stepsize(solver))


def _exp(solver: pb.SolverParameter, iteration: int) -> float:
    """base_lr · gamma ^ iteration"""
    return solver.base_lr * _power(_gamma(solver), iteration)


def _inv(solver: pb.SolverParameter, iteration: int) -> float:
    """base_lr · (1 + gamma · iteration) ^ -power"""
    base = _float32(1 + _float32(_gamma(solver) * _float32(iteration)))
    return solver.base_lr * _power(base, -solver.power)


def _multistep(solver: pb.SolverParameter, iteration: int) -> float:
    """base_lr · gamma ^ (number of stepvalues reached)"""
    return solver.base_lr * _power(_gamma(solver), steps_reached(solver, iteration))


def steps_reached(solver: pb.SolverParameter, iteration: int) -> int:
    """How many of "multistep"'s stepvalues a run from 0 has counted: `current_step` of a .solverstate.

    Caffe looks at one stepvalue an iteration: of two equal ones, the second counts an iteration later.
    """
    counted_at = -1
    for count, value in enumerate(solver.stepvalue):
        counted_at = max(value, counted_at + 1)
        if counted_at > iteration:
            return count
    return len(solver.stepvalue)


def _poly(solver: pb.SolverParameter, iteration: int) -> float:
    """base_lr · (1 - iteration / max_iter) ^ power"""
    done = _divided(_float32(iteration), _float32(solver.max_iter))
    return solver.base_lr * _power(_float32(1 - done), solver.power)


def _sigmoid(solver: pb.SolverParameter, iteration: int) -> float:
    """base_lr / (1 + exp(-gamma · (iteration - stepsize)))"""
    exponent = _float32(-_gamma(solver) * _float32(iteration - _stepsize(solver)))
    try:
        return solver.base_lr / (1 + math.exp(exponent))
    except OverflowError:
        return 0.0


_POLICIES: dict[str, Callable[[pb.SolverParameter, int], float]] = {
    "fixed": _fixed,
    "step": _step,
    "exp": _exp,
    "inv": _inv,
    "multistep": _multistep,
    "poly": _poly,
    "sigmoid": _sigmoid,
}


def _gamma(solver: pb.SolverParameter) -> float:
    if solver.gamma < 0:
        raise InputError(f'lr_policy "{solver.lr_policy}" needs a gamma of at least 0, not {solver.gamma:g}')
    return solver.gamma


def _stepsize(solver: pb.SolverParameter) -> int:
    if solver.stepsize < 1:
        raise InputError(
            f'lr_policy "{solver.lr_policy}" needs a stepsize of at least 1, not {solver.stepsize}'
        )
    return solver.stepsize


def _float32(number: float) -> float:
    """`number` rounded as a C float holds it."""
    if abs(number) >= LARGEST_FLOAT32:
        return math.copysign(math.inf, number)
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded


def _divided(numerator: float, denominator: float) -> float:
    """As in C, where a division by zero is no error; `denominator` is not negative zero."""
    if denominator:
        return _float32(numerator / denominator)
    return math.copysign(math.inf, numerator) if numerator else math.nan


def _power(base: float, exponent: float) -> float:
    """C's pow, which answers where Python raises."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        odd = exponent % 2 == 1
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan
