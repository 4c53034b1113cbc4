"""Caffe's six rules by which gradients become updates (src/caffe/solvers).

A rule turns the gradients of some parameters, in place, into what is subtracted from them; what it remembers of
earlier iterations is changed in place, too. All scalars are rounded to float32 before use, as Caffe's are, and no rule
waits for the device.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from batchbrew.caffe.memory import lie_alike
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

Tensors = list[Tensor]


def float32(value: float) -> float:
    """`value` rounded to float32; what is too large becomes infinite, as in C."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


class UpdateRule:
    """The base of all rules. A rule remembers `histories` numbers for each weight, all zero at first."""

    histories: ClassVar[int] = 1
    takes_momentum: ClassVar[bool] = True
    rests_at_rate_0: ClassVar[bool] = (
        False  # does what it remembers stay zero then, whatever the weights decay by?
    )

    def __init__(self, param: pb.SolverParameter) -> None:
        self.momentum = param.momentum
        self.delta = param.delta
        if param.momentum and not self.takes_momentum:
            raise InputError(
                f"solver type {type(self).__name__} takes no momentum, but momentum is {param.momentum:g}: "
                "leave it out"
            )

    def apply(self, gradients: Tensors, histories: Sequence[Tensors], rate: float, iteration: int) -> None:
        """Turn `gradients` into updates at learning rate `rate`, in iteration `iteration`, counted from 0."""
        raise NotImplementedError

    def change(
        self,
        weights: Tensors,
        gradients: Tensors,
        histories: Sequence[Tensors],
        decay: float,
        rate: float,
        iteration: int,
    ) -> Tensors:
        """Change the weights in place, `decay` of which is added to the gradients first.

        Returns what was subtracted, in the memory of the gradients or of a history.
        """
        if decay:
            torch._foreach_add_(gradients, weights, alpha=decay)
        self.apply(gradients, histories, rate, iteration)
        torch._foreach_sub_(weights, gradients)
        return gradients


class SGD(UpdateRule):
    """V ← momentum·V + rate·g; the update is V."""

    rests_at_rate_0 = True

    def apply(self, gradients: Tensors, histories: Sequence[Tensors], rate: float, iteration: int) -> None:
        """One step."""
        (history,) = histories
        torch._foreach_mul_(history, self.momentum)
        torch._foreach_add_(history, gradients, alpha=rate)
        torch._foreach_copy_(gradients, history)

    def change(
        self,
        weights: Tensors,
        gradients: Tensors,
        histories: Sequence[Tensors],
        decay: float,
        rate: float,
        iteration: int,
    ) -> Tensors:
        """In one pass over memory, which leaves the gradients as they were.

        PyTorch's rule has the rate outside of V, but what is added to V is multiplied by 1 - `dampening`.
        """
        (history,) = histories
        # Without a momentum PyTorch takes no history, which for Caffe is part of a snapshot all the same.
        if not self.momentum or not _lie_alike(weights, gradients, history):
            return super().change(weights, gradients, histories, decay, rate, iteration)
        torch._fused_sgd_(
            weights, gradients, history,
            weight_decay=decay, momentum=self.momentum, lr=1.0, dampening=1 - rate,
            nesterov=False, maximize=False, is_first_step=False,
        )  # fmt: skip
        return history


class Nesterov(UpdateRule):
    """V' ← momentum·V + rate·g; the update is (1 + momentum)·V' - momentum·V."""

    rests_at_rate_0 = True

    def apply(self, gradients: Tensors, histories: Sequence[Tensors], rate: float, iteration: int) -> None:
        """One step."""
        (history,) = histories
        before = torch._foreach_mul(history, self.momentum)
        torch._foreach_mul_(history, self.momentum)
        torch._foreach_add_(history, gradients, alpha=rate)
        torch._foreach_copy_(gradients, history)
        torch._foreach_mul_(gradients, float32(1 + self.momentum))
        torch._foreach_sub_(gradients, before)


class AdaGrad(UpdateRule):
    """H ← H + g²; the update is rate·g / (√H + delta)."""

    takes_momentum = False

    def apply(self, gradients: Tensors, histories: Sequence[Tensors], rate: float, iteration: int) -> None:
        """One step."""
        (history,) = histories
        torch._foreach_addcmul_(history, gradients, gradients)
        _divide_by_root(gradients, history, self.delta)
        torch._foreach_mul_(gradients, rate)


class RMSProp(UpdateRule):
    """H ← decay·H + (1 - decay)·g²; the update is rate·g / (√H + delta)."""

    takes_momentum = False

    def __init__(self, param: pb.SolverParameter) -> None:
        super().__init__(param)
        self.decay = param.rms_decay
        if not 0 <= self.decay < 1:
            raise InputError(f"rms_decay must be at least 0 and less than 1, not {self.decay:g}")

    def apply(self, gradients: Tensors, histories: Sequence[Tensors], rate: float, iteration: int) -> None:
        """One step."""
        (history,) = histories
        _average_squares(history, gradients, self.decay)
        _divide_by_root(gradients, history, self.delta)
        torch._foreach_mul_(gradients, rate)


class AdaDelta(UpdateRule):
    """H ← momentum·H + (1 - momentum)·g²; u = g·√((U + delta) / (H + delta)); U ← momentum·U + (1 - momentum)·u²;
    the update is rate·u. The histories are H of all parameters, then U.
    """

    histories = 2

    def apply(self, gradients: Tensors, histories: Sequence[Tensors], rate: float, iteration: int) -> None:
        """One step."""
        squares, updates = histories
        _average_squares(squares, gradients, self.momentum)
        ratio = torch._foreach_add(updates, self.delta)
        torch._foreach_div_(ratio, torch._foreach_add(squares, self.delta))
        torch._foreach_sqrt_(ratio)
        torch._foreach_mul_(gradients, ratio)
        _average_squares(updates, gradients, self.momentum)
        torch._foreach_mul_(gradients, rate)


class Adam(UpdateRule):
    """M ← b1·M + (1 - b1)·g, V ← b2·V + (1 - b2)·g², of momentum b1 and momentum2 b2; the update of step t, from 1, is
    rate·√(1 - b2ᵗ) / (1 - b1ᵗ)·M / (√V + delta). The histories are M of all parameters, then V.
    """

    histories = 2

    def __init__(self, param: pb.SolverParameter) -> None:
        super().__init__(param)
        self.momentum2 = param.momentum2

    def apply(self, gradients: Tensors, histories: Sequence[Tensors], rate: float, iteration: int) -> None:
        """One step."""
        means, squares = histories
        torch._foreach_mul_(means, self.momentum)
        torch._foreach_add_(means, gradients, alpha=float32(1 - self.momentum))
        _average_squares(squares, gradients, self.momentum2)
        torch._foreach_copy_(gradients, means)
        _divide_by_root(gradients, squares, self.delta)
        torch._foreach_mul_(gradients, float32(rate * self._correction(iteration + 1)))

    def _correction(self, step: int) -> float:
        with np.errstate(all="ignore"):  # momentum 1 divides by zero, in C too; a larger one overflows
            root = math.sqrt(max(0.0, 1 - np.power(self.momentum2, float(step))))
            return float32(np.divide(root, 1 - np.power(self.momentum, float(step))))


def _lie_alike(*groups: Tensors) -> bool:
    """Has each weight its gradient and its history at the same places, as one kernel for all expects?"""
    return all(lie_alike(each[0], other) for each in zip(*groups, strict=True) for other in each[1:])


def _average_squares(history: Tensors, gradients: Tensors, decay: float) -> None:
    """H ← decay·H + (1 - decay)·g²."""
    torch._foreach_mul_(history, decay)
    torch._foreach_addcmul_(history, gradients, gradients, float32(1 - decay))


def _divide_by_root(gradients: Tensors, squares: Tensors, delta: float) -> None:
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, delta)
    torch._foreach_div_(gradients, roots)


RULES: dict[str, type[UpdateRule]] = {
    "SGD": SGD,
    "Nesterov": Nesterov,
    "AdaGrad": AdaGrad,
    "RMSProp": RMSProp,
    "AdaDelta": AdaDelta,
    "Adam": Adam,
}
