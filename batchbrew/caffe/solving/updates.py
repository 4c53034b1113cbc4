"""From gradients to new weights: clipping, normalising, regularising, the update rule (SGDSolver::ApplyUpdate).

All parameters of the same multipliers are worked on together, and nothing here waits for a GPU.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from batchbrew.caffe import engine_log, mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import Layer
from batchbrew.caffe.lifetimes import HOW_TO_KEEP
from batchbrew.caffe.memory import lie_alike
from batchbrew.caffe.net import Net
from batchbrew.caffe.product import Product
from batchbrew.caffe.solving.update_rules import UpdateRule, float32
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

REGULARIZATIONS = ("L1", "L2")


class Updater:
    """What a solver remembers of its net's parameters, and how it changes them.

    `history`: a blob for each parameter, in the order of the net's; then, where the rule has two, the second ones.
    """

    def __init__(self, param: pb.SolverParameter, net: Net, rule: UpdateRule) -> None:
        self._param = param
        self._learnable = list(net.learnable_params)
        self._rule = rule
        self.history = [Blob(*each.blob.shape) for _ in range(rule.histories) for each in self._learnable]
        self._has_room = False
        self._by_layer = self._ready_behind(net.layers)

    def _ready_behind(self, layers: Sequence[Layer]) -> dict[int, list[int]]:
        """By layer, the parameters whose gradients are whole once it has run backward: those that it has first."""
        numbers = {id(each.blob.diff_memory): number for number, each in enumerate(self._learnable)}
        first: dict[int, int] = {}
        for index, layer in enumerate(layers):
            for blob in layer.blobs:
                first.setdefault(numbers[id(blob.diff_memory)], index)
        found: dict[int, list[int]] = {}
        for number, index in first.items():
            found.setdefault(index, []).append(number)
        return found

    @property
    def takes_each_alone(self) -> bool:
        """Does the update of a parameter need no other's gradient, and no other pass? And is it faster so?

        It is where the processor's caches still hold the gradient. A GPU is faster at all of them at once.
        """
        independent = self._param.clip_gradients < 0 and self._param.iter_size == 1
        return independent and mode.device().type == "cpu"

    def apply(self, rate: float, iteration: int) -> None:
        """Change the weights by their gradients; the gradients' blobs then hold what was subtracted.

        Raises InputError for a regularization that Caffe does not know, before anything is changed.
        """
        self._check_regularization()
        moving = self._moving(range(len(self._learnable)), rate)
        if moving:
            self._clip(list(moving.values()))
            if self._param.iter_size != 1:
                torch._foreach_mul_(list(moving.values()), float32(1 / self._param.iter_size))
            self._change(moving, rate, iteration, keep=True)

    def begin(self, rate: float, iteration: int) -> Callable[[range], None]:
        """The same, but by and by: returns what is to be called with the layers that have their gradients. Those are
        forgotten.
        """
        self._check_regularization()

        def change(layers: range) -> None:
            members = [number for layer in layers for number in self._by_layer.get(layer, ())]
            products = [number for number in members if self._product(number) is not None]
            for number in products:
                self._change_by_rows(number, rate, iteration)
            others = [number for number in members if number not in products]
            self._change(self._moving(others, rate), rate, iteration, keep=False)

        return change

    def make_room(self) -> None:
        """For what is remembered, before the first pass: between the blobs of that it would break up the memory."""
        if self._has_room:
            return
        for number, each in enumerate(self._learnable):
            if each.lr_mult:
                for blob in self.history[number :: len(self._learnable)]:
                    blob.mutable_data()
        self._has_room = True

    def _product(self, number: int) -> Product | None:
        """The gradient, if it is one that need never be there as a whole."""
        deferred = self._learnable[number].blob.diff_memory.deferred
        return deferred if isinstance(deferred, Product) else None

    def _change_by_rows(self, number: int, rate: float, iteration: int) -> None:
        each, product = self._learnable[number], self._product(number)
        assert product is not None
        weights = each.blob.mutable_data().reshape(product.shape)
        ((*histories,),) = zip(*self._histories_of([number]), strict=True)
        for rows, gradient in product.parts():
            group, some = [gradient], [weights[rows]]
            decay = self._decay(group, some, each.decay_mult)
            remembered = [[history.reshape(product.shape)[rows]] for history in histories]
            self._rule.change(some, group, remembered, decay, float32(rate * each.lr_mult), iteration)
        each.blob.drop_diff(f"the gradient of layer {each.layer.name} was not kept {HOW_TO_KEEP}")

    def _moving(self, members: Iterable[int], rate: float) -> dict[int, Tensor]:
        """The gradients, by the number of the parameter, of those that an update can change; the others are like
        BatchNorm's statistics.
        """
        moving = {}
        for number in members:
            each, histories = self._learnable[number], self.history[number :: len(self._learnable)]
            zero = each.blob.has_no_diff and all(blob.data_memory.is_zero for blob in histories)
            if not (zero and self._rule.rests_at_rate_0 and not rate * each.lr_mult):
                moving[number] = _own_diff(each.blob)
        return moving

    def _change(self, gradients: Mapping[int, Tensor], rate: float, iteration: int, keep: bool) -> None:
        groups: dict[tuple[float, float], list[int]] = {}
        for number in gradients:
            each = self._learnable[number]
            groups.setdefault((each.lr_mult, each.decay_mult), []).append(number)
        for (lr_mult, decay_mult), members in groups.items():
            weights = [self._learnable[number].blob.mutable_data() for number in members]
            group = [_lying_like(gradients[n], like) for n, like in zip(members, weights, strict=True)]
            for number, like in zip(members, weights, strict=True):
                for blob in self.history[number :: len(self._learnable)]:
                    blob.data_memory.lay_out(like)
            decay = self._decay(group, weights, decay_mult)
            updates = self._rule.change(
                weights, group, self._histories_of(members), decay, float32(rate * lr_mult), iteration
            )
            for number, update, gradient in zip(members, updates, group, strict=True):
                self._leave(number, update, gradient, keep)

    def _leave(self, number: int, update: Tensor, gradient: Tensor, keep: bool) -> None:
        each = self._learnable[number]
        if not keep:
            each.blob.drop_diff(f"the gradient of layer {each.layer.name} was not kept {HOW_TO_KEEP}")
        elif update is gradient:
            each.blob.diff_tensor = update
        else:
            each.blob.defer_diff(partial(torch.clone, update))

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

    def _decay(self, gradients: list[Tensor], weights: list[Tensor], decay_mult: float) -> float:
        """How much of the weights is to be added to their gradients; of L1, their signs are added here."""
        decay = float32(self._param.weight_decay * decay_mult)
        if decay and self._param.regularization_type == "L1":
            torch._foreach_add_(gradients, torch._foreach_sign(weights), alpha=decay)
            return 0.0
        return decay

    def _check_regularization(self) -> None:
        kind = self._param.regularization_type
        if kind not in REGULARIZATIONS and self._param.weight_decay:
            raise InputError(
                f"regularization_type {kind!r} is unknown: Caffe knows {', '.join(REGULARIZATIONS)}"
            )


def _lying_like(gradient: Tensor, weights: Tensor) -> Tensor:
    return gradient if lie_alike(gradient, weights) else torch.empty_like(weights).copy_(gradient)


def _own_diff(blob: Blob) -> Tensor:
    """A blob's gradient, to be changed in place; a layer may have given it as an expanded tensor, which cannot be."""
    diff = blob.mutable_diff()
    if any(stride == 0 and length > 1 for stride, length in zip(diff.stride(), diff.shape, strict=True)):
        blob.diff_tensor = diff.contiguous()
        diff = blob.mutable_diff()
    return diff
