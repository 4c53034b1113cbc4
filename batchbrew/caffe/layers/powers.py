"""Power, Exp and Log.

Power and Log write the bottom's gradient before they read the top's. In place both are one memory, so that Caffe
multiplies what it has just written by itself; batchbrew warns of such nets (lint), and computes them as Caffe does.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer

E = -1  # the base that stands for e


@layer("Power")
class Power(StandardLayer):
    """y = (shift + scale·x)^power."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Where power or scale is 0, x does not count, not even a nan."""
        parameter, x = self.layer_param.power_param, bottom[0].data_tensor
        if parameter.power * parameter.scale == 0:
            top[0].data_tensor = torch.full_like(x, _power(parameter.shift, parameter.power))
            return
        inner = _linear(x, parameter.scale, parameter.shift)
        top[0].data_tensor = inner**parameter.power if parameter.power != 1 else _own(inner, x)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy·power·scale·y / (shift + scale·x), in Caffe's own forms: nan where that is 0/0."""
        if not propagate_down[0]:
            return
        parameter = self.layer_param.power_param
        if parameter.power * parameter.scale == 0:
            bottom[0].diff_tensor = torch.zeros_like(bottom[0].data_tensor)
            return
        bottom[0].diff_tensor = _chained(self._slope(top, bottom), top[0], bottom[0])

    def _slope(self, top: Sequence[Blob], bottom: Sequence[Blob]) -> Tensor:
        parameter, x = self.layer_param.power_param, bottom[0].data_tensor
        power, scale, shift = parameter.power, parameter.scale, parameter.shift
        if power == 1:
            return torch.full_like(x, scale)
        if power == 2:
            return _linear(x, 2 * scale * scale, 2 * scale * shift)
        return top[0].data_tensor / _linear(x, scale, shift) * (power * scale)


@layer("Exp")
class Exp(StandardLayer):
    """y = base^(shift + scale·x). The backward pass reads y alone."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """As Caffe: base^shift is a factor of its own."""
        parameter = self.layer_param.exp_param
        y = torch.exp(bottom[0].data_tensor * self._inner_scale())
        if parameter.shift:
            y = y * _power(math.e if parameter.base == E else parameter.base, parameter.shift)
        top[0].data_tensor = y

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy·y·scale·log(base)."""
        if propagate_down[0]:
            bottom[0].diff_tensor = top[0].diff_tensor * top[0].data_tensor * self._inner_scale()

    def _inner_scale(self) -> float:
        parameter = self.layer_param.exp_param
        return _float32(_log_of_base(parameter.base) * parameter.scale)


@layer("Log")
class Log(StandardLayer):
    """y = log(shift + scale·x) to `base`."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """-inf at 0, nan below it."""
        parameter = self.layer_param.log_param
        y = torch.log(_linear(bottom[0].data_tensor, parameter.scale, parameter.shift))
        top[0].data_tensor = y if parameter.base == E else y * (1 / _log_of_base(parameter.base))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """The gradient: dy·scale / (log(base)·(shift + scale·x))."""
        if not propagate_down[0]:
            return
        parameter = self.layer_param.log_param
        inner = _linear(bottom[0].data_tensor, parameter.scale, parameter.shift)
        slope = inner.reciprocal() * (parameter.scale / _log_of_base(parameter.base))
        bottom[0].diff_tensor = _chained(slope, top[0], bottom[0])


def _linear(x: Tensor, scale: float, shift: float) -> Tensor:
    """scale·x + shift; x itself where that is the same."""
    if scale != 1:
        x = x * scale
    return x + shift if shift else x


def _own(tensor: Tensor, other: Tensor) -> Tensor:
    """A tensor that is not `other`, which belongs to another blob."""
    return tensor.clone() if tensor is other else tensor


def _chained(slope: Tensor, top: Blob, bottom: Blob) -> Tensor:
    """slope·dy; in place slope², as Caffe (see above)."""
    return slope * (slope if top is bottom else top.diff_tensor)


def _log_of_base(base: float) -> float:
    return 1.0 if base == E else _float32(math.log(base))


def _power(base: float, exponent: float) -> float:
    """base^exponent as C's pow has it: infinite or nan where Python raises an error."""
    with np.errstate(all="ignore"):
        return _float32(np.float64(base) ** np.float64(exponent))


def _float32(value: float) -> float:
    """Rounded as Caffe's constants are; too large a one is infinite."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))
