"""Cases of fillers: a DummyData layer whose tops are filled, and what must be true of random numbers so drawn."""

from collections.abc import Iterator
from random import Random

import numpy as np

from batchbrew.parity.case import Case, Pass
from batchbrew.parity.specimens.chance import maybe
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb

SIGMAS = 6
LAYER = "tested"


def filler_case(kind: str, seed: int, number: int) -> Case:
    """One filler, thousands of numbers."""
    random = Random(f"{seed} {kind} {number}")
    shape = [random.randint(20, 40), random.randint(5, 20), random.choice([3, 5]), random.choice([2, 4])]
    filler = pb.FillerParameter()
    filler.type = random.choice([*_CHECKS, "constant", "bilinear"])
    if filler.type == "uniform":
        filler.min, filler.max = sorted([random.uniform(-2, 0), random.uniform(-1, 3)])
    if filler.type == "gaussian":
        filler.mean, filler.std = random.choice([0, 0, 1.5]), random.choice([0.01, 1, 3])
        if not filler.mean and maybe(random, 0.4):
            filler.sparse = random.randint(2, 15)
    if filler.type in ("xavier", "msra") and maybe(random, 0.7):
        filler.variance_norm = random.choice(pb.FillerParameter.VarianceNorm.values())
    if filler.type == "constant":
        filler.value = random.choice([0.25, -7])
    if filler.type == "bilinear":
        shape[2] = shape[3] = random.randint(2, 6)
    if maybe(random, 0.05):
        filler.type = "bilinear" if maybe(random, 0.5) else "magic"  # refused, or only if not square
    net = pb.NetParameter(name="filler")
    layer = net.layer.add(name=LAYER, type="DummyData", top=["top"])
    layer.dummy_data_param.shape.add(dim=shape)
    layer.dummy_data_param.data_filler.append(filler)
    drawn = filler.type in _CHECKS
    phase = random.choice([pb.TRAIN, pb.TEST])
    return Case(kind, seed, number, net, phase, [Pass(backward=False)] * 2, random=drawn)


def filler_faults(filler: pb.FillerParameter, numbers: Array) -> Iterator[str]:
    """What is not true of numbers that the filler drew."""
    yield from _CHECKS[filler.type](filler, numbers.astype(np.float64))


def _uniform(filler: pb.FillerParameter, numbers: Array) -> Iterator[str]:
    yield from _evenly(numbers, filler.min, filler.max)


def _gaussian(filler: pb.FillerParameter, numbers: Array) -> Iterator[str]:
    if filler.sparse >= 0:
        share, outputs = (numbers != 0).mean(), numbers.shape[0]
        expected = filler.sparse / outputs
        if abs(share - expected) > SIGMAS * (expected * (1 - expected) / numbers.size) ** 0.5:
            yield f"{share:.3f} of the numbers are not 0, instead of {expected:.3f}"
        numbers = numbers[numbers != 0]
    yield from _normally(numbers, filler.mean, filler.std)


def _xavier(filler: pb.FillerParameter, numbers: Array) -> Iterator[str]:
    limit = (3 / _fan(filler, numbers)) ** 0.5
    yield from _evenly(numbers, -limit, limit)


def _msra(filler: pb.FillerParameter, numbers: Array) -> Iterator[str]:
    yield from _normally(numbers, 0, (2 / _fan(filler, numbers)) ** 0.5)


def _positive_unitball(filler: pb.FillerParameter, numbers: Array) -> Iterator[str]:
    rows = numbers.reshape(len(numbers), -1)
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, rtol=1e-5):
        yield "the numbers of each output are not positive with a sum of 1"
    mean = 1 / rows.shape[1]
    if not 0.8 < rows.std() / (mean / 3**0.5) < 1.2:  # of even numbers from 0 on, divided by their sum
        yield f"their deviation is {rows.std():.4g}, not about {mean / 3**0.5:.4g}"


def _fan(filler: pb.FillerParameter, numbers: Array) -> float:
    inputs, outputs = numbers.size / numbers.shape[0], numbers.size / numbers.shape[1]
    norms = pb.FillerParameter.VarianceNorm
    by_norm = {norms.Value("FAN_IN"): inputs, norms.Value("FAN_OUT"): outputs}
    return float(by_norm.get(filler.variance_norm, (inputs + outputs) / 2))


def _evenly(numbers: Array, low: float, high: float) -> Iterator[str]:
    rounding = 1e-6 * max(abs(low), abs(high))
    if numbers.min() < low - rounding or numbers.max() > high + rounding:
        yield f"numbers from {numbers.min():.4g} to {numbers.max():.4g}, not {low:.4g} to {high:.4g}"
    yield from _moments(numbers, (low + high) / 2, (high - low) / 12**0.5)


def _normally(numbers: Array, mean: float, deviation: float) -> Iterator[str]:
    beyond = (np.abs(numbers - mean) > 2 * deviation).mean()
    if not 0.02 < beyond < 0.08:  # 0.0455 of normal ones
        yield f"{beyond:.3f} of the numbers are beyond two deviations, of normal ones 0.046"
    yield from _moments(numbers, mean, deviation)


def _moments(numbers: Array, mean: float, deviation: float) -> Iterator[str]:
    if abs(numbers.mean() - mean) > SIGMAS * deviation / numbers.size**0.5:
        yield f"their mean is {numbers.mean():.4g}, not {mean:.4g}"
    if abs(numbers.std() - deviation) > SIGMAS * deviation / (2 * numbers.size) ** 0.5:
        yield f"their deviation is {numbers.std():.4g}, not {deviation:.4g}"


_CHECKS = {
    "uniform": _uniform,
    "gaussian": _gaussian,
    "xavier": _xavier,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
}
