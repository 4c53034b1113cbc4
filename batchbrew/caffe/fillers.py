"""What parameters hold before training: Caffe's fillers (filler.hpp)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.float32 import LARGEST
from batchbrew.caffe.mode import random_generator
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb

Filler = Callable[[tuple[int, ...], pb.FillerParameter], Tensor]


def fill(blob: Blob, parameter: pb.FillerParameter) -> None:
    """Fill `blob` as `parameter` says. Raises Refusal for what Caffe does not know or cannot do."""
    filler = FILLERS.get(parameter.type)
    if filler is None:
        raise Refusal(f"has a filler of type {parameter.type!r}; there are {', '.join(sorted(FILLERS))}")
    if parameter.sparse != -1 and parameter.type != "gaussian":
        raise Refusal(f"has a {parameter.type} filler with sparse: only gaussian can be sparse")
    if blob.count:  # nets have no empty blobs; DummyData has its fillers checked with one
        blob.data_tensor = filler(blob.shape, parameter)


def _constant(shape: tuple[int, ...], parameter: pb.FillerParameter) -> Tensor:
    return torch.full(shape, parameter.value)


def _uniform(shape: tuple[int, ...], low: float, high: float) -> Tensor:
    if not low <= high:
        raise Refusal(f"has a uniform filler from {low:g} to {high:g}: min must not be more than max")
    if high - low > LARGEST:
        raise Refusal(f"has a uniform filler from {low:g} to {high:g}: there is no float for how far that is")
    return torch.empty(shape).uniform_(low, high, generator=random_generator())


def _gaussian(shape: tuple[int, ...], parameter: pb.FillerParameter) -> Tensor:
    """Of standard deviation `std` around `mean`; `sparse` numbers of each row, on average, are not zero."""
    if not parameter.std > 0:
        raise Refusal(f"has a gaussian filler with std {parameter.std:g}: it must be more than 0")
    values = torch.empty(shape).normal_(parameter.mean, parameter.std, generator=random_generator())
    if parameter.sparse == -1:
        return values
    rows = _rows(shape, parameter)
    if not 0 <= parameter.sparse <= rows:
        raise Refusal(
            f"has a gaussian filler with sparse {parameter.sparse}: it is 0 to {rows}, the number of rows, or -1"
        )
    kept = torch.empty(shape).bernoulli_(parameter.sparse / rows, generator=random_generator())
    return values * kept


def _rows(shape: tuple[int, ...], parameter: pb.FillerParameter) -> int:
    """The length of the first axis: as many outputs do weights have."""
    if not shape:
        raise Refusal(f"has a {parameter.type} filler for a single number, which has no rows: use constant")
    return shape[0]


def _positive_unitball(shape: tuple[int, ...], parameter: pb.FillerParameter) -> Tensor:
    """Positive numbers that sum to 1 in each row."""
    values = _uniform(shape, 0, 1).reshape(_rows(shape, parameter), -1)
    return (values / values.sum(1, keepdim=True)).reshape(shape)


def _fan(shape: tuple[int, ...], parameter: pb.FillerParameter) -> float:
    count = math.prod(shape)
    fan_in = count / _rows(shape, parameter)
    fan_out = count / (shape[1] if len(shape) > 1 else 1)
    if parameter.variance_norm == pb.FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if parameter.variance_norm == pb.FillerParameter.FAN_OUT else fan_in


def _xavier(shape: tuple[int, ...], parameter: pb.FillerParameter) -> Tensor:
    """Glorot and Bengio, 2010; Caffe's default divides by the fan-in alone."""
    limit = math.sqrt(3 / _fan(shape, parameter))
    return _uniform(shape, -limit, limit)


def _msra(shape: tuple[int, ...], parameter: pb.FillerParameter) -> Tensor:
    """He et al., 2015."""
    deviation = math.sqrt(2 / _fan(shape, parameter))
    return torch.empty(shape).normal_(0, deviation, generator=random_generator())


def _bilinear(shape: tuple[int, ...], parameter: pb.FillerParameter) -> Tensor:
    """Interpolation as the weights of a Deconvolution."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise Refusal(
            f"has a bilinear filler for weights of shape {shape}: they must have four axes and be square"
        )
    size = shape[3]
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    line = 1 - (torch.arange(size) / factor - centre).abs()
    return (line[:, None] * line).expand(shape).contiguous()


FILLERS: dict[str, Filler] = {
    "constant": _constant,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "uniform": lambda shape, parameter: _uniform(shape, parameter.min, parameter.max),
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
}
