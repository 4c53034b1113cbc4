"""LSTMUnit: one step of an LSTM."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.nets.shapes.registry import Refusal


class Step(NamedTuple):
    """What one step computes of cells and gates, all N×D, and its backward pass needs.

    `f` is the forget gate times the mark: 0 where a sequence begins.
    """

    i: Tensor
    f: Tensor
    o: Tensor
    g: Tensor
    cell_before: Tensor
    cell: Tensor
    squashed: Tensor  # tanh of the cell


def step(cell: Tensor, gates: Tensor, marks: Tensor) -> Step:
    """The next cell is mark·σ(f)·c + σ(i)·tanh(g), from gates i, f, o, g side by side (N×4D) and marks N×1."""
    width = cell.shape[-1]
    i, f, o = gates[..., : 3 * width].sigmoid().chunk(3, -1)
    g = gates[..., 3 * width :].tanh()
    f = torch.where(marks == 0, 0, marks * f)
    after = f * cell + i * g
    return Step(i, f, o, g, cell, after, after.tanh())


def hidden(done: Step) -> Tensor:
    """The next hidden state, σ(o)·tanh(c')."""
    return done.o * done.squashed


def step_back(done: Step, cell: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """From the gradients of the next cell and hidden state to those of the cell and the gates.

    Where a mark is neither 0 nor 1 the forget gate's is Caffe's, f·(1-f) of the gate times its mark.
    """
    i, f, o, g = done.i, done.f, done.o, done.g
    inner = cell + hidden * o * (1 - done.squashed.square())
    gates = [
        inner * g * i * (1 - i),
        inner * done.cell_before * f * (1 - f),
        hidden * done.squashed * o * (1 - o),
        inner * i * (1 - g.square()),
    ]
    return inner * f, torch.cat(gates, -1)


@layer("LSTMUnit")
class LSTMUnit(StandardLayer):
    """Bottoms: cell 1×N×D, gates 1×N×4D, marks 1×N (0 where a sequence begins). Tops: next cell and hidden state."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """One step."""
        done = self._step(bottom)
        top[0].data_tensor, top[1].data_tensor = done.cell, hidden(done)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Cell and gates together, as Caffe: if one is asked for both are written."""
        if propagate_down[2]:
            raise Refusal("has no gradient for its marks, bottom 2: propagate_down: false stops it")
        if not (propagate_down[0] or propagate_down[1]):
            return
        cell = top[0].data_tensor
        done = self._step(bottom)._replace(cell=cell, squashed=cell.tanh())
        gradients = step_back(done, top[0].diff_tensor, top[1].diff_tensor)
        bottom[0].diff_tensor, bottom[1].diff_tensor = gradients

    def allow_force_backward(self, index: int) -> bool:
        """Not to the marks."""
        return index != 2

    def _step(self, bottom: Sequence[Blob]) -> Step:
        cell, gates, marks = (blob.data_tensor for blob in bottom)
        return step(cell, gates, marks[..., None])
