"""Two engines' results of one case: where do they differ, and by how much?

The difference of two arrays is the largest of |a - b| / max(|a|, M/10), where a is real Caffe's number, b ours,
and M the largest |a| of the array. So where a number is not small (a tenth of the largest, or more) the
difference is relative to itself; numbers smaller than that, which may be what is left of larger ones that
cancelled, are judged like one of a tenth of the largest. That is at least as strict as relative to the largest, and
up to ten times stricter. In nets of several layers, where a small number may come of cancellations further up,
it is relative to the largest: |a - b| / M; and M, of a parameter's gradient, is at least a tenth of the largest
gradient of the same layer: that of a bias before a BatchNorm would be 0 if nothing were rounded. Infinities and
nans must be the same at the same places. Where all of Caffe's numbers are 0, all of ours must be.

Where ours computes with bfloat16, which has 8 bits, each sum is off by about as much as its largest part may be: there
numbers of a single layer, too, are relative to the largest. In a net, in which a ReLU's kink is crossed by some of many
numbers, what is compared is the root of the mean square of a - b, by that of a; and of a parameter's gradient by a
tenth of the largest one of the net at least, as factors and weights before a BatchNorm, also, may have none but
rounding.

A net's loss is a sum of many numbers: its difference is relative to the sum of their magnitudes. Diffs that
nobody wanted (wanted.py) are not compared.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchbrew.parity.case import Case
from batchbrew.parity.random_layers import broken_properties
from batchbrew.parity.results import Refused, Result
from batchbrew.parity.specimens.values import Array
from batchbrew.parity.tolerances import FP32, Tolerances
from batchbrew.parity.wanted import unwanted_diffs

SMALL = 0.1  # of the largest: from here on a single layer's numbers are compared relative to themselves
OUR_WORD = "InputError"  # the exception by which ours is to refuse


@dataclass(frozen=True, order=True)
class Worst:
    """The largest difference of several arrays, and which of them has it."""

    difference: float = 0.0
    where: str = ""


@dataclass(frozen=True)
class Comparison:
    """`refused`: neither engine computes it. `faults`: where they disagree in kind, not in degree, in words.

    `tolerances`: those of the case. `ill_conditioned`: it magnifies rounding; `times_own` is then how many times as
    large as Caffe's difference from itself ours is (conditioning.py).
    """

    case: Case
    forward: Worst = Worst()
    gradient: Worst = Worst()
    refused: bool = False
    faults: tuple[str, ...] = ()
    ill_conditioned: bool = False
    times_own: float = 0.0
    tolerances: Tolerances = FP32

    @property
    def broken(self) -> bool:
        """Is there any fault, or a difference beyond its tolerance that is not the case's own?"""
        return bool(self.faults) or (self.excess > 1 and not self.ill_conditioned)

    @property
    def excess(self) -> float:
        """The worst difference in units of its tolerance."""
        return max(
            self.forward.difference / self.tolerances.forward,
            self.gradient.difference / self.tolerances.gradient,
        )


def difference(theirs: Array, ours: Array, small: float = SMALL, least: float = 0.0) -> float:
    """As the module's text defines it; `small` is the part of the largest, which is taken to be `least` at least.

    Infinite for arrays of unlike shapes.
    """
    if theirs.shape != ours.shape:
        return np.inf
    if not theirs.size:
        return 0.0
    a, b = theirs.astype(np.float64), ours.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
        return np.inf
    a, b = a[finite], b[finite]
    size = np.abs(a)
    largest = size.max(initial=least)
    if largest == 0:
        return np.inf if b.any() else 0.0
    return float((np.abs(a - b) / np.maximum(size, small * largest)).max(initial=0))


def rough_difference(theirs: Array, ours: Array, least: float = 0.0) -> float:
    """|a - b| / |a|, of each the root of the mean square; `least` is what that of a is taken to be at least."""
    exact = difference(theirs, ours, 1.0, least)
    if not exact or not np.isfinite(exact):
        return exact
    finite = np.isfinite(theirs)
    apart = ours[finite].astype(np.float64) - theirs[finite].astype(np.float64)
    return _root_mean_square(apart) / max(_root_mean_square(theirs[finite]), least)


def _root_mean_square(numbers: NDArray[np.floating[Any]]) -> float:
    return float(np.sqrt(np.mean(np.square(numbers, dtype=np.float64)))) if numbers.size else 0.0


def compare(case: Case, theirs: Result, ours: Result, tolerances: Tolerances = FP32) -> Comparison:
    """`theirs` is real Caffe's."""
    if theirs.refused or ours.refused:
        faults = tuple(_faults_of_refusals(case, theirs.refused, ours.refused))
        return Comparison(
            case, refused=bool(theirs.refused and ours.refused), faults=faults, tolerances=tolerances
        )
    faults = (*_unlike_nets(theirs, ours), *broken_properties(case, theirs, ours))
    keys = set(theirs.arrays) ^ set(ours.arrays)
    if keys:
        return Comparison(case, faults=(*faults, f"only one engine has {', '.join(sorted(keys))}"))
    measured = dict(_differences(case, theirs, ours, tolerances.roughly))
    return Comparison(
        case,
        forward=_worst(measured, ("data", "parameter", "loss", "file")),
        gradient=_worst(measured, ("diff", "gradient")),
        faults=faults,
        tolerances=tolerances,
    )


def _differences(case: Case, theirs: Result, ours: Result, roughly: bool) -> Iterator[tuple[str, float]]:
    unwanted = unwanted_diffs(case)
    small = 1.0 if case.several_layers or roughly else SMALL
    for key, array in theirs.arrays.items():
        number, what, *name = key.split("|")
        if what == "loss":
            yield key, 0.0 if case.random else _loss_difference(theirs, ours, number)
        elif (what != "diff" or name[0] not in unwanted) and (not case.random or key.endswith("|data|label")):
            of_parameter = what == "gradient" and case.several_layers
            if roughly and case.several_layers:
                least = SMALL * _typical_gradient(theirs, number) if of_parameter else 0.0
                yield key, rough_difference(array, ours.arrays[key], least)
            else:
                least = SMALL * _largest_gradient(theirs, number, name[0]) if of_parameter else 0.0
                yield key, difference(array, ours.arrays[key], small, least)


def _typical_gradient(theirs: Result, number: str) -> float:
    """Of that parameter of the net whose gradient is largest."""
    own = f"{number}|gradient|"
    return max(_root_mean_square(array) for key, array in theirs.arrays.items() if key.startswith(own))


def _largest_gradient(theirs: Result, number: str, layer: str) -> float:
    own = f"{number}|gradient|{layer}|"
    return max(
        float(np.abs(array).max(initial=0)) for key, array in theirs.arrays.items() if key.startswith(own)
    )


def _loss_difference(theirs: Result, ours: Result, number: str) -> float:
    """Relative to the sum of |weight · number| over all that goes into the loss."""
    assert theirs.net is not None
    a, b = (float(result.arrays[f"{number}|loss"]) for result in (theirs, ours))
    if not (math.isfinite(a) and math.isfinite(b)):
        return 0.0 if a == b or (math.isnan(a) and math.isnan(b)) else math.inf
    magnitude = sum(
        abs(weight) * float(np.abs(theirs.arrays[f"{number}|data|{blob}"], dtype=np.float64).sum())
        for blob, weight in theirs.net["loss_weights"].items()
        if weight
    )
    return abs(a - b) / (magnitude or 1.0)


def _worst(measured: Mapping[str, float], words: tuple[str, ...]) -> Worst:
    return max(
        (Worst(off, key.replace("|", " ")) for key, off in measured.items() if key.split("|")[1] in words),
        default=Worst(),
    )


def _unlike_nets(theirs: Result, ours: Result) -> Iterator[str]:
    """Names, types, order: what the nets tell of themselves."""
    assert theirs.net is not None
    assert ours.net is not None
    for what, told in theirs.net.items():
        if told != ours.net.get(what):
            yield f"the net's {what} are {ours.net.get(what)}, Caffe's {told}"


def _faults_of_refusals(case: Case, theirs: Refused | None, ours: Refused | None) -> Iterator[str]:
    if theirs is None:
        yield f"only ours refuses it: {ours}"
        return
    if ours is None:
        if not theirs.crashed:  # what makes Caffe crash without a word may well be computed
            yield f"only Caffe refuses it: {theirs}"
        return
    if OUR_WORD not in ours.kinds:
        yield f"ours does not refuse it properly, by {OUR_WORD}: {ours} (Caffe: {theirs})"
    elif not any(layer.name in ours.text for layer in case.net.layer):
        yield f"ours refuses it without naming the layer: {ours}"
    if "\n" in ours.text:
        yield f"ours refuses it in more than one line: {ours}"
