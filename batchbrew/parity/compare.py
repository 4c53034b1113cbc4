"""Two engines' results of one case: where do they differ, and by how much?

The difference of two arrays is the largest of |a - b| / max(|a|, M/10), where a is real Caffe's number, b ours,
and M the largest |a| of the array. So where a number is not small (a tenth of the largest, or more) the
difference is relative to itself; numbers smaller than that, which may be what is left of larger ones that
cancelled, are judged like one of a tenth of the largest. That is at least as strict as relative to the largest, and
up to ten times stricter. In nets of several layers, where a small number may come of cancellations further up,
it is relative to the largest: |a - b| / M; and M, of a parameter's gradient, is at least a tenth of the largest
gradient of the same layer: that of a bias before a BatchNorm would be 0 if nothing were rounded. Infinities and
nans must be the same at the same places. Where all of Caffe's numbers are 0, all of ours must be.

A net's loss is a sum of many numbers: its difference is relative to the sum of their magnitudes. Diffs that
nobody wanted (wanted.py) are not compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from batchbrew.parity.case import Case
from batchbrew.parity.random_layers import broken_properties
from batchbrew.parity.results import Refused, Result
from batchbrew.parity.specimens.values import Array
from batchbrew.parity.wanted import unwanted_diffs

FORWARD_TOLERANCE = 1e-5  # data of blobs, and what layers collect in their parameters
GRADIENT_TOLERANCE = 1e-4  # diffs of blobs and parameters
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

    `ill_conditioned`: the case magnifies rounding; `times_own` is then how many times as large as Caffe's
    difference from itself ours is (conditioning.py).
    """

    case: Case
    forward: Worst = Worst()
    gradient: Worst = Worst()
    refused: bool = False
    faults: tuple[str, ...] = ()
    ill_conditioned: bool = False
    times_own: float = 0.0

    @property
    def broken(self) -> bool:
        """Is there any fault, or a difference beyond its tolerance that is not the case's own?"""
        return bool(self.faults) or (self.excess > 1 and not self.ill_conditioned)

    @property
    def excess(self) -> float:
        """The worst difference in units of its tolerance."""
        return max(self.forward.difference / FORWARD_TOLERANCE, self.gradient.difference / GRADIENT_TOLERANCE)


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
    return float((np.abs(a - b) / np.maximum(size, small * largest)).max())


def compare(case: Case, theirs: Result, ours: Result) -> Comparison:
    """`theirs` is real Caffe's."""
    if theirs.refused or ours.refused:
        faults = tuple(_faults_of_refusals(case, theirs.refused, ours.refused))
        return Comparison(case, refused=bool(theirs.refused and ours.refused), faults=faults)
    faults = (*_unlike_nets(theirs, ours), *broken_properties(case, theirs, ours))
    keys = set(theirs.arrays) ^ set(ours.arrays)
    if keys:
        return Comparison(case, faults=(*faults, f"only one engine has {', '.join(sorted(keys))}"))
    measured = dict(_differences(case, theirs, ours))
    return Comparison(
        case,
        forward=_worst(measured, ("data", "parameter", "loss", "file")),
        gradient=_worst(measured, ("diff", "gradient")),
        faults=faults,
    )


def _differences(case: Case, theirs: Result, ours: Result) -> Iterator[tuple[str, float]]:
    unwanted = unwanted_diffs(case)
    small = 1.0 if case.several_layers else SMALL
    for key, array in theirs.arrays.items():
        number, what, *name = key.split("|")
        if what == "loss":
            off = abs(float(array) - float(ours.arrays[key])) / _magnitude_of_loss(theirs, number)
            yield key, 0.0 if case.random else off
        elif (what != "diff" or name[0] not in unwanted) and (not case.random or key.endswith("|data|label")):
            least = 0.0
            if what == "gradient" and case.several_layers:
                least = SMALL * _largest_gradient(theirs, number, name[0])
            yield key, difference(array, ours.arrays[key], small, least)


def _largest_gradient(theirs: Result, number: str, layer: str) -> float:
    own = f"{number}|gradient|{layer}|"
    return max(
        float(np.abs(array).max(initial=0)) for key, array in theirs.arrays.items() if key.startswith(own)
    )


def _magnitude_of_loss(theirs: Result, number: str) -> float:
    """The sum of |weight · number| over all that goes into the loss."""
    assert theirs.net is not None
    return (
        sum(
            abs(weight) * float(np.abs(theirs.arrays[f"{number}|data|{blob}"], dtype=np.float64).sum())
            for blob, weight in theirs.net["loss_weights"].items()
        )
        or 1.0
    )


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
