"""From gradients to new weights: clipping, normalising, regularising, the update rule (SGDSolver::ApplyUpdate).

All parameters of the same multipliers are worked on together, and nothing here waits for a GPU.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from batchbrew.caffe import engine_log
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.parameters import Learnable
from batchbrew.caffe.solving.update_rules import UpdateRule, float32
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

REGULARIZATIONS = ("L1", "L2")


class Updater:
    """What a solver remembers of its net's parameters, and how it changes them.

    `history`: a blob for each parameter, in the order of the net's; then, where the rule has two, the second ones.
    """

    def __init__(self, param: pb.SolverParameter, learnable: Sequence[Learnable], rule: UpdateRule) -> None:
        self._param = param
        self._learnable = list(learnable)
        self._rule = rule
        self.history = [Blob(*each.blob.shape) for _ in range(rule.histories) for each in self._learnable]
        self._groups = self._by_multipliers()

    def apply(self, rate: float, iteration: int) -> None:
        """Change the weights by their gradients; the gradients' blobs then hold what was subtracted.

        Raises InputError for a regularization that Caffe does not know, before anything is changed.
        """
        self._check_regularization()
        if not self._learnable:
            return
        gradients = [_own_diff(each.blob) for each in self._learnable]
        weights = [each.blob.mutable_data() for each in self._learnable]
        self._clip(gradients)
        if self._param.iter_size != 1:
            torch._foreach_mul_(gradients, float32(1 / self._param.iter_size))
        for (lr_mult, decay_mult), members in self._groups.items():
            group = [gradients[i] for i in members]
            self._regularize(group, [weights[i] for i in members], decay_mult)
            self._rule.apply(group, self._histories_of(members), float32(rate * lr_mult), iteration)
        torch._foreach_sub_(weights, gradients)

    def _by_multipliers(self) -> dict[tuple[float, float], list[int]]:
        groups: dict[tuple[float, float], list[int]] = {}
        for index, each in enumerate(self._learnable):
            groups.setdefault((each.lr_mult, each.decay_mult), []).append(index)
        return groups

    def _histories_of(self, members: Sequence[int]) -> list[list[Tensor]]:
        count = len(self._learnable)
        return [
            [self.history[start + i].mutable_data() for i in members]
            for start in range(0, count * self._rule.histories, count)
        ]

    def _clip(self, gradients: list[Tensor]) -> None:
        """Scale all gradients down where their common L2 norm is more than clip_gradients."""
        limit = self._param.clip_gradients
        if limit < 0:
            return
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        scale = torch.where(norm > limit, limit / norm, torch.ones_like(norm))
        if norm.device.type == "cpu" and engine_log.is_on() and norm > limit:
            engine_log.info(
                "sgd_solver.cpp:99",
                f"Gradient clipping: scaling down gradients (L2 norm {engine_log.number(norm.item())} > "
                f"{engine_log.number(limit)}) by scale factor {engine_log.number(scale.item())}",
            )
        torch._foreach_mul_(gradients, scale)

    def _regularize(self, gradients: list[Tensor], weights: list[Tensor], decay_mult: float) -> None:
        decay = float32(self._param.weight_decay * decay_mult)
        if decay:
            pull = weights if self._param.regularization_type == "L2" else torch._foreach_sign(weights)
            torch._foreach_add_(gradients, pull, alpha=decay)

    def _check_regularization(self) -> None:
        kind = self._param.regularization_type
        if kind not in REGULARIZATIONS and self._param.weight_decay:
            raise InputError(
                f"regularization_type {kind!r} is unknown: Caffe knows {', '.join(REGULARIZATIONS)}"
            )


def _own_diff(blob: Blob) -> Tensor:
    """A blob's gradient, to be changed in place; a layer may have given it as an expanded tensor, which cannot be."""
    diff = blob.mutable_diff()
    if any(stride == 0 and length > 1 for stride, length in zip(diff.stride(), diff.shape, strict=True)):
        blob.diff_tensor = diff.contiguous()
        diff = blob.mutable_diff()
    return diff
