"""Layers whose result is drawn: what must be true of it in either engine, whatever the random numbers were."""

from collections.abc import Iterator, Sequence

import numpy as np

from batchbrew.parity.case import Case
from batchbrew.parity.filler_cases import filler_faults
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb

ROUNDING = 1e-6
ENOUGH = 8  # pictures of which one at least is mirrored or cut in another way than the rest
SIGMAS = 6  # a fair draw lies further off once in 500 million times


def broken_properties(case: Case, theirs: Result, ours: Result) -> Iterator[str]:
    """What is not true of one of the results, Caffe's own included."""
    if not case.random:
        return
    layer = case.net.layer[-1]
    check = {"Dropout": _dropout, "Data": _pictures, "DummyData": _filled}[layer.type]
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
        above = _diff_above(case, layer, number, result)
        if above is None or f"{number}|diff|{bottom}" not in result.arrays:
            continue
        if not _close(result.arrays[f"{number}|diff|{bottom}"], np.where(kept, above * factor, 0)):
            yield f"pass {number}: gradients are not dropped and multiplied as the numbers were"


def _diff_above(case: Case, layer: pb.LayerParameter, number: int, result: Result) -> Array | None:
    """The gradient that came from above, if the layer passes one on."""
    learned_from = layer.bottom[0] not in case.net.layer[0].top
    if not case.net.force_backward and not (layer.loss_weight and learned_from and all(layer.propagate_down)):
        return None
    top = layer.top[0]
    if top in case.passes[number].diffs:
        return case.passes[number].diffs[top]
    if number:  # as the pass before left it
        return result.arrays[f"{number - 1}|diff|{top}"]
    return np.full(result.arrays[f"{number}|data|{top}"].shape, layer.loss_weight[0], np.float32)


def _filled(case: Case, layer: pb.LayerParameter, result: Result) -> Iterator[str]:
    """Each pass fills anew."""
    passes = [result.arrays[f"{number}|data|{layer.top[0]}"] for number in range(len(case.passes))]
    for number, numbers in enumerate(passes):
        for fault in filler_faults(layer.dummy_data_param.data_filler[0], numbers):
            yield f"pass {number}: {fault}"
    if np.array_equal(passes[0], passes[-1]):
        yield "all passes have the same numbers"


def _pictures(case: Case, layer: pb.LayerParameter, result: Result) -> Iterator[str]:
    """Each picture is a part of the record whose turn it is, mirrored or not; not always the same part."""
    ways = set()
    batch = layer.data_param.batch_size
    for number in range(len(case.passes)):
        for index, made in enumerate(result.arrays[f"{number}|data|data"]):
            record = case.pictures[(number * batch + index) % len(case.pictures)]
            parts = dict(_parts(case, layer.transform_param, record))
            way = next((way for way, part in parts.items() if _near(made, part)), None)
            if way is None:
                yield f"pass {number}: picture {index} of the batch is no part of its record"
            ways.add(way)
    if len(ways) == 1 and len(case.passes) * batch >= ENOUGH:
        yield f"all pictures were cut and mirrored alike, at {ways}"


def _parts(
    case: Case, transform: pb.TransformationParameter, record: Array
) -> Iterator[tuple[tuple[int, int, bool], Array]]:
    """All that may come of a record, by row, column and whether it is mirrored."""
    _, height, width = record.shape
    side = transform.crop_size
    rows: Sequence[int] = [0]
    columns: Sequence[int] = [0]
    if side and case.phase == pb.TRAIN:
        rows, columns = range(height - side + 1), range(width - side + 1)
    elif side:
        rows, columns = [(height - side) // 2], [(width - side) // 2]
    changed = (record - _mean(case, transform, record)) * np.float32(transform.scale)
    for row in rows:
        for column in columns:
            part = changed[:, row : row + side, column : column + side] if side else changed
            yield (row, column, False), part
            if transform.mirror:
                yield (row, column, True), part[:, :, ::-1]


def _mean(case: Case, transform: pb.TransformationParameter, record: Array) -> Array:
    if transform.mean_file:
        mean = pb.BlobProto.FromString(case.files["mean.binaryproto"])
        return np.array(mean.data, np.float32).reshape(record.shape)
    if transform.mean_value:
        return np.array(transform.mean_value, np.float32).reshape(-1, 1, 1)
    return np.zeros(1, np.float32)


def _near(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-5, atol=1e-4))


def _close(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=ROUNDING, atol=0))
