"""Passes over the layers of a net, forward and backward, several layers at once where that can be."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.fusing.finding import find_units
from batchbrew.caffe.fusing.unit import Unit
from batchbrew.caffe.gradient_flow import GradientFlow
from batchbrew.caffe.layer import Layer
from batchbrew.caffe.lifetimes import Lifetimes
from batchbrew.caffe.wiring import Wiring

Blobs = Sequence[Sequence[Blob]]
LayerCallback = Callable[[int], object]


class Passes:
    """Runs a net's layers. `explaining` puts the name of a layer before what that refuses."""

    def __init__(
        self,
        layers: Sequence[Layer],
        bottoms: Blobs,
        tops: Blobs,
        loss_weights: Sequence[Sequence[float]],
        flow: GradientFlow,
        explaining: Callable[[int], AbstractContextManager[None]],
    ) -> None:
        self._layers, self._bottoms, self._tops = layers, bottoms, tops
        self._loss_weights = loss_weights
        self._flow = flow
        self._explaining = explaining
        units = find_units(layers, bottoms, tops, flow)
        self._by_first = {unit.first: unit for unit in units}
        self._by_last = {unit.last: unit for unit in units}
        self._members = {index: unit for unit in units for index in range(unit.first, unit.last + 1)}
        self._ran: set[int] = set()  # the first layers of units whose latest forward pass was at once
        self.callbacks: dict[str, list[LayerCallback]] = {}

    def lifetimes(self, wiring: Wiring, blobs: Sequence[Blob]) -> Lifetimes:
        """Of the net's blobs, as passes are run now."""
        units = list(self._by_first.values()) if self.at_once else []
        return Lifetimes(wiring, blobs, self._layers, self._flow, units)

    @property
    def at_once(self) -> bool:
        """Do units run as such? Not where somebody looks on."""
        return not self.callbacks and mode.fuses()

    def forward(self, indices: range, lifetimes: Lifetimes | None) -> Tensor:
        """Run layers; the sum of the losses on the way, a number on the device. Blobs last as `lifetimes` says."""
        loss = torch.zeros((), device=mode.device())
        index = indices.start
        while index < indices.stop:
            unit = self._unit(self._by_first.get(index), indices)
            ran = range(index, index + 1 if unit is None else unit.last + 1)
            if unit is None:
                self._run_apart(index)
            for each in ran:
                self._call("before_forward", each)
                with self._explaining(each):
                    self._layers[each].reshape(self._bottoms[each], self._tops[each])
                    if unit is None:
                        self._layers[each].forward(self._bottoms[each], self._tops[each])
            if unit is not None:
                with self._explaining(unit.last):
                    unit.forward(keep=lifetimes is None)
                self._ran.add(unit.first)
            # what Caffe weights within a unit it would split, so that it is none
            if (weighted := self._weighted(ran[-1])) is not None:
                loss = loss + weighted
            if lifetimes is not None:
                lifetimes.after_forward(ran)
            self._call("after_forward", index)
            index = ran.stop
        return loss

    def backward(
        self, indices: range, lifetimes: Lifetimes | None, learned: Callable[[range], object] | None
    ) -> None:
        """Run layers backward, from the last one to the first; `learned` is called behind each, or each unit."""
        index = indices.stop - 1
        while index >= indices.start:
            unit = self._unit(self._by_last.get(index), indices)
            if unit is not None and unit.first in self._ran and not (lifetimes is None and unit.is_touched):
                ran = range(unit.first, unit.last + 1)
                with self._explaining(unit.last):
                    unit.backward(keep=lifetimes is None)
            else:
                ran = range(index, index + 1)
                self._layer_backward(index)
            if learned is not None:
                learned(ran)
            if lifetimes is not None:
                lifetimes.after_backward(ran)
                for each in ran:
                    self._layers[each].forget()
            index = ran.start - 1

    def _layer_backward(self, index: int) -> None:
        self._call("before_backward", index)
        if self._flow.layers[index]:
            with self._explaining(index):
                self._run_apart(index)
                self._layers[index].backward(
                    self._tops[index], self._flow.bottoms[index], self._bottoms[index]
                )
        self._call("after_backward", index)

    def _run_apart(self, index: int) -> None:
        """The layer is to run alone: those of its unit need what their latest passes, which were at once, have left."""
        unit = self._members.get(index)
        if unit is not None and unit.first in self._ran:
            unit.hand_over()
            self._ran.remove(unit.first)

    def _weighted(self, index: int) -> Tensor | None:
        """What the tops of a layer add to the loss, if anything."""
        found: Tensor | None = None
        for blob, weight in zip(self._tops[index], self._loss_weights[index], strict=True):
            if weight:
                part = (blob.data_tensor * blob.diff_tensor).sum()
                found = part if found is None else found + part
        return found

    def _unit(self, unit: Unit | None, indices: range) -> Unit | None:
        """The unit, if it can run: all of it is to."""
        if unit is None or not self.at_once:
            return None
        return unit if unit.first in indices and unit.last in indices else None

    def _call(self, moment: str, index: int) -> None:
        for callback in self.callbacks.get(moment, ()):
            callback(index)
