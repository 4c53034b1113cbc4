"""Layers whose result is drawn: what must be true of it in either engine, whatever the random numbers were."""

from collections.abc import Iterator

import numpy as np

from batchbrew.parity.case import Case
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb

ROUNDING = 1e-6
SIGMAS = 6  # a fair draw lies further off once in 500 million times


def broken_properties(case: Case, theirs: Result, ours: Result) -> Iterator[str]:
    """What is not true of one of the results, Caffe's own included."""
    if not case.random:
        return
    layer = case.net.layer[-1]
    check = {"Dropout": _dropout}.get(layer.type)
    if check is None:
        return
    for name, result in (("Caffe", theirs), ("ours", ours)):
        for fault in check(case, layer, result):
            yield f"{name}: {fault}"


def _dropout(case: Case, layer: pb.LayerParameter, result: Result) -> Iterator[str]:
    """A number is dropped with the probability asked for, or multiplied; its gradient has the same fate."""
    ratio = layer.dropout_param.dropout_ratio
    factor = np.float32(1 / (1 - np.float32(ratio)))
    bottom, top = layer.bottom[0], layer.top[0]
    for number, each in enumerate(case.passes):
        given, made = next(iter(each.data.values())), result.arrays[f"{number}|data|{top}"]
        kept = made != 0
        if not _close(made, np.where(kept, given * factor, 0)):
            yield f"pass {number}: what is not dropped is not multiplied by {factor:g}"
        expected, spread = ratio * given.size, (ratio * (1 - ratio) * given.size) ** 0.5
        dropped = given.size - int(kept.sum())
        if abs(dropped - expected) > SIGMAS * spread + 1:
            yield f"pass {number}: {dropped} of {given.size} dropped, not about {expected:.0f}"
        above = _diff_above(case, layer, number, given)
        if above is None or f"{number}|diff|{bottom}" not in result.arrays:
            continue
        if not _close(result.arrays[f"{number}|diff|{bottom}"], np.where(kept, above * factor, 0)):
            yield f"pass {number}: gradients are not dropped and multiplied as the numbers were"


def _diff_above(case: Case, layer: pb.LayerParameter, number: int, given: Array) -> Array | None:
    """The gradient that came from above, if the layer passes one on."""
    if case.net.force_backward:
        return case.passes[number].diffs[layer.top[0]]
    learned_from = layer.bottom[0] not in case.net.layer[0].top
    if layer.loss_weight and learned_from and all(layer.propagate_down):
        return np.full(given.shape, layer.loss_weight[0], np.float32)
    return None


def _close(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=ROUNDING, atol=0))
