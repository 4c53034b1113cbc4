"""BatchNorm, with the Scale and the ReLU behind it, in one pass over memory each way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.batch_norm import BatchNorm, Normalisation
from batchbrew.caffe.layers.normalising import apply, gradients
from batchbrew.caffe.layers.rectified import ReLU
from batchbrew.caffe.layers.scale import Scale
from batchbrew.caffe.lifetimes import HOW_TO_KEEP


class Member(NamedTuple):
    """A layer of the chain, with the blobs that it reads and writes.

    `learns`: it runs backward. `passes`: its bottom gets a gradient then.
    """

    layer: BatchNorm | Scale | ReLU
    bottom: Blob
    top: Blob
    learns: bool
    passes: bool

    def drop_data(self) -> None:
        """Of the top."""
        name = self.layer.layer_param.top[0]
        self.top.drop_data(f"the data of blob {name} were not kept {HOW_TO_KEEP}")

    def drop_diff(self) -> None:
        """Of the bottom."""
        name = self.layer.layer_param.bottom[0]
        self.bottom.drop_diff(f"the gradient of blob {name} was not kept {HOW_TO_KEEP}")


@dataclass
class _Pass:
    """What the backward pass needs of the forward pass: `y` only where it is rectified."""

    x: Tensor
    how: Normalisation
    y: Tensor | None


class NormalisedChain:
    """y = x̂·factors + shifts, x̂ being x normalised; then max(0, y). Scale and ReLU may be missing."""

    writes_again = True
    reads_blobs_backward: frozenset[int] = frozenset()

    def __init__(self, first: int, members: Sequence[Member], lasting: Sequence[Blob] = ()) -> None:
        """`lasting`: tops that other layers read, too, under another name of their memory, or backward."""
        self.first, self.last = first, first + len(members) - 1
        self._members = list(members)
        self._lasting = {id(blob) for blob in lasting}
        self.bottom, self.top = members[0].bottom, members[-1].top
        assert isinstance(members[0].layer, BatchNorm)
        self._norm = members[0].layer
        self.scale = next((each.layer for each in members if isinstance(each.layer, Scale)), None)
        self.rectifies = isinstance(members[-1].layer, ReLU)
        self._pass: _Pass | None = None

    def forward(self, keep: bool) -> None:
        """Statistics in one pass over x, y in another."""
        x = self.bottom.held_lasting_data
        how = self._norm.normalisation(x)
        scaling = self._scaling()
        self.top.data_tensor = apply(x, how.mean, how.inverse, *scaling, self.rectifies)
        self._pass = _Pass(x, how, self.top.held_lasting_data if self.rectifies else None)
        self._let_go = False
        self._leave_between(scaling, keep)

    def _scaling(self) -> tuple[Tensor | None, Tensor | None]:
        if self.scale is None:
            return None, None
        blobs = self.scale.blobs
        return blobs[0].data_tensor, blobs[1].data_tensor if len(blobs) > 1 else None

    def _leave_between(self, scaling: Sequence[Tensor | None], keep: bool) -> None:
        """What the blobs between hold: x̂, or with the Scale in the same place y before it was rectified."""
        last = {id(member.top): member for member in self._members if member.top is not self.top}
        for member in last.values():
            if not keep and id(member.top) not in self._lasting:
                member.drop_data()
                continue
            scaled = isinstance(member.layer, Scale)
            factors, shifts = (None if each is None or not scaled else each.clone() for each in scaling)
            of = self._kept
            member.top.defer_data(partial(apply, of.x, of.how.mean, of.how.inverse, factors, shifts, False))

    @property
    def _kept(self) -> _Pass:
        if self._pass is None:
            raise LayerError(
                f"layer {self._norm.name} (BatchNorm): a backward pass needs a forward pass before it"
            )
        return self._pass

    def backward(self, keep: bool) -> None:
        """Sums in one pass over dy and x, the gradient of x in another."""
        if not self._members[-1].learns:
            return
        of, (factors, shifts) = self._kept, self._scaling()
        unasked = self.top.has_no_diff
        dy = (self.top.lasting_diff if keep else self.top.held_diff).to(of.x.dtype)
        asked = self.scale.param_propagate_down if self.scale is not None and self.scale_learns else []
        y = self.top.held_data if self.rectifies and self._let_go else of.y
        dx, of_factors, of_shifts = gradients(
            dy, y, of.x, of.how.mean, of.how.inverse, factors, shifts,
            rectify=self.rectifies,
            constant=of.how.constant,
            want_x=self._members[0].learns,
            want_factors=bool(asked) and asked[0],
            want_shifts=len(asked) > 1 and asked[1],
            dy_is_ours=not keep and self.top.owns_diff,
        )  # fmt: skip
        if self.scale is not None:
            self.scale.learn(of_factors, of_shifts)
        self._leave_diffs_between(dy, factors, keep, unasked)
        if dx is not None:
            self.bottom.diff_tensor = dx
        if not keep:
            self._pass = None

    @property
    def scale_learns(self) -> bool:
        """Does the Scale run backward?"""
        return any(isinstance(each.layer, Scale) and each.learns for each in self._members)

    def _leave_diffs_between(self, dy: Tensor, factors: Tensor | None, keep: bool, unasked: bool) -> None:
        """Each layer leaves its bottom's gradient; where several have one place the first layer's stays.

        `unasked`: no layer wrote the top's, and none will in later passes: it stays zero.
        """
        left = {
            id(member.bottom): member
            for member in reversed(self._members[1:])
            if member.learns and member.passes
        }
        if self._members[0].learns:
            left.pop(id(self.bottom), None)
        for member in left.values():
            if keep:
                own = factors.clone() if factors is not None and isinstance(member.layer, Scale) else None
                member.bottom.defer_diff(partial(_masked, dy, self._kept.y, own))
            elif member.bottom is self.top and unasked:
                member.bottom.clear_diff()
            else:
                member.drop_diff()

    @property
    def is_touched(self) -> bool:
        """Who has looked at data may have written them, too."""
        return any(each.top.has_data_by_hand for each in self._members)

    def normalised(self) -> Tensor:
        """x̂ of the last forward pass."""
        of = self._kept
        return apply(of.x, of.how.mean, of.how.inverse, None, None, False)

    def defer_gradients(self, of_top: Callable[[], Tensor]) -> None:
        """Leave the gradients of all its blobs to be computed from that of its top, when they are asked for."""
        of, (factors, _) = self._kept, self._scaling()
        own = None if factors is None else factors.clone()

        def of_bottom() -> Tensor:
            dx, _, _ = gradients(
                of_top().to(of.x.dtype), of.y, of.x, of.how.mean, of.how.inverse, own, None,
                rectify=self.rectifies, constant=of.how.constant,
            )  # fmt: skip
            assert dx is not None
            return dx

        self.top.defer_diff(of_top)
        for member in (each for each in reversed(self._members[1:]) if each.passes):
            scaled = own if isinstance(member.layer, Scale) else None
            member.bottom.defer_diff(partial(_masked_later, of_top, of.y, scaled))
        if self._members[0].learns:
            self.bottom.defer_diff(of_bottom)

    def drop_diffs(self) -> None:
        """Let go of the gradients that its layers would leave."""
        for index, member in enumerate(self._members):
            if member.passes if index else member.learns:
                member.drop_diff()

    def forget(self) -> None:
        """Let go of what a backward pass would need."""
        self._pass = None

    def let_go(self) -> None:
        """What a pass over x gives again is not worth its memory. On a GPU it is: passes over memory take its time."""
        of, scaling = self._kept, self._scaling()
        if of.x.is_cuda:
            return
        of.y = None
        self.top.defer_data(partial(apply, of.x, of.how.mean, of.how.inverse, *scaling, self.rectifies))
        self._let_go = True

    def hand_over(self) -> None:
        """x̂, which BatchNorm keeps, and Scale where it works in place: float32, as if they had made it."""
        of = self._pass
        if of is None:
            return
        numbers = self.normalised().float()
        self._norm.keep(numbers, of.how.inverse)
        for member in self._members:
            if isinstance(member.layer, Scale):
                member.layer.keep(numbers if member.bottom is member.top else None)


def _masked(dy: Tensor, y: Tensor | None, factors: Tensor | None) -> Tensor:
    """The gradient before ReLU, which made `y`, and before Scale, if there are `factors`."""
    dy = dy if y is None else torch.ops.aten.threshold_backward(dy.to(y.dtype), y, 0)
    return dy if factors is None else dy * factors.reshape(-1, *[1] * (dy.dim() - 2))


def _masked_later(of_top: Callable[[], Tensor], y: Tensor | None, factors: Tensor | None) -> Tensor:
    return _masked(of_top(), y, factors)
