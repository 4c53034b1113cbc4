"""The measure of a difference, by hand-worked numbers; what counts as a disagreement in kind."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from batchbrew.parity.case import Case, Pass
from batchbrew.parity.compare import Comparison, Worst, compare, difference, rough_difference
from batchbrew.parity.results import Refused, Result
from batchbrew.parity.specimens.values import Array
from batchbrew.parity.tolerances import BF16_LAYER, BF16_NET
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

NET = parse_prototxt(
    'force_backward: true layer { name: "quiet" type: "Silence" bottom: "x" }', pb.NetParameter
)
CASE = Case("Silence", 1, 0, NET, pb.TRAIN, [Pass()])
BUILT = {"layers": [["quiet", "Silence"]], "blobs": ["x"], "loss_weights": {"x": -0.5, "y": 2}}


def numbers(*values: float) -> Array:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ((1, 2, 4), (1, 2, 4), 0),
        ((4, 2), (4, 3), 1 / 2),  # not small: relative to itself
        ((4, 0.25), (4, 0.5), 0.25 / 0.4),  # small: relative to a tenth of the largest
        ((4, 0), (4, 0.25), 0.25 / 0.4),
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 1e-30), math.inf),  # nothing to be relative to
        ((math.nan, 1), (math.nan, 1), 0),
        ((math.nan, 1), (1, 1), math.inf),
        ((1, 1), (math.nan, 1), math.inf),
        ((math.inf, 1), (math.inf, 2), 1),
        ((math.inf, 1), (-math.inf, 1), math.inf),
    ],
)
def test_difference(theirs: tuple[float, ...], ours: tuple[float, ...], expected: float) -> None:
    assert difference(numbers(*theirs), numbers(*ours)) == pytest.approx(expected, rel=1e-6)


def test_difference_of_unlike_shapes_is_infinite() -> None:
    assert difference(numbers(1, 2), numbers(1, 2).reshape(2, 1)) == math.inf


def test_difference_of_nothing_is_none() -> None:
    assert difference(numbers(), numbers()) == 0


def result(arrays: Mapping[str, Array] | None = None, refused: Refused | None = None) -> Result:
    return Result(refused, arrays or {}, None if refused else BUILT)


def test_the_worst_of_each_direction_is_found() -> None:
    keys = ("0|data|x", "0|parameter|quiet|0", "0|diff|x", "0|gradient|quiet|0")
    theirs = {key: numbers(1, 1) for key in keys}
    ours = {key: numbers(1, 1 + 2.0**-power) for key, power in zip(keys, (12, 11, 9, 10), strict=True)}
    found = compare(CASE, result(theirs), result(ours))
    assert (found.forward.difference, found.forward.where) == (2**-11, "0 parameter quiet 0")
    assert (found.gradient.difference, found.gradient.where) == (2**-9, "0 diff x")
    assert found.broken


def test_a_loss_is_relative_to_all_that_goes_into_it() -> None:
    blobs = {"0|data|x": numbers(4, -4), "0|data|y": numbers(3)}  # 0.5 · 8 + 2 · 3
    theirs, ours = blobs | {"0|loss": np.array(6.0)}, blobs | {"0|loss": np.array(5.0)}
    found = compare(CASE, result(theirs), result(ours))
    assert found.forward == Worst(0.1, "0 loss")


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (math.nan, math.nan, 0),
        (math.nan, 1.0, math.inf),
        (1.0, math.nan, math.inf),
        (math.inf, math.inf, 0),
        (math.inf, -math.inf, math.inf),
    ],
)
def test_a_loss_that_is_no_number(theirs: float, ours: float, expected: float) -> None:
    blobs = {"0|data|x": numbers(4), "0|data|y": numbers(3)}
    found = compare(
        CASE,
        result(blobs | {"0|loss": np.array(theirs)}),
        result(blobs | {"0|loss": np.array(ours)}),
    )
    assert found.forward.difference == expected


def test_what_a_loss_does_not_count_may_be_no_number() -> None:
    built = BUILT | {"loss_weights": {"x": 0, "y": 1}}
    blobs = {"0|data|x": numbers(math.nan), "0|data|y": numbers(4)}
    theirs, ours = (Result(None, blobs | {"0|loss": np.array(loss)}, built) for loss in (4.0, 3.0))
    assert compare(CASE, theirs, ours).forward == Worst(0.25, "0 loss")


@pytest.mark.parametrize(
    ("theirs", "ours", "least", "expected"),
    [
        ((3, 4), (3, 4), 0, 0),
        ((3, 4), (3, 3), 0, 1 / 5),
        ((3, 4), (3, 3), 10, 1 / math.sqrt(2) / 10),  # the root of the mean of 0 and 1
        ((0, 0), (0, 1), 0, math.inf),
        ((0, 0), (0, 1), 1, 1 / math.sqrt(2)),
        ((math.nan, 1), (1, 1), 0, math.inf),
        ((math.inf, 4), (math.inf, 3), 0, 1 / 4),
        ((), (), 0, 0),
    ],
)
def test_rough_difference(
    theirs: tuple[float, ...], ours: tuple[float, ...], least: float, expected: float
) -> None:
    assert rough_difference(numbers(*theirs), numbers(*ours), least) == pytest.approx(expected)


def test_rough_layers_are_measured_by_their_largest_numbers() -> None:
    theirs, ours = result({"0|data|x": numbers(4, 0)}), result({"0|data|x": numbers(4, 4 * 2**-7)})
    found = compare(CASE, theirs, ours, BF16_LAYER)
    assert found.forward.difference == 2**-7
    assert not found.broken
    assert compare(CASE, theirs, ours).broken


def test_rough_gradients_are_measured_by_the_net() -> None:
    theirs = result({"0|gradient|c|0": numbers(8, 8), "0|gradient|d|0": numbers(0.01, 0)})
    ours = result({"0|gradient|c|0": numbers(8, 8), "0|gradient|d|0": numbers(0.01, 0.08)})
    net = replace(CASE, several_layers=True)
    found = compare(net, theirs, ours, BF16_NET)
    assert found.gradient.difference == pytest.approx(0.08 / math.sqrt(2) / 0.8)
    assert not found.broken


def test_nets_are_measured_by_their_largest_numbers() -> None:
    theirs, ours = result({"0|data|x": numbers(4, 0.5)}), result({"0|data|x": numbers(4, 1)})
    assert compare(CASE, theirs, ours).forward.difference == 1
    assert compare(replace(CASE, several_layers=True), theirs, ours).forward.difference == 1 / 8


@pytest.mark.parametrize(("off", "broken"), [(0.9e-5, False), (1.1e-5, True)])
def test_tolerance_forward(off: float, broken: bool) -> None:
    assert (
        compare(CASE, result({"0|data|x": numbers(1)}), result({"0|data|x": numbers(1 + off)})).broken
        == broken
    )


@pytest.mark.parametrize(("off", "broken"), [(0.9e-4, False), (1.1e-4, True)])
def test_tolerance_of_gradients(off: float, broken: bool) -> None:
    assert (
        compare(CASE, result({"0|diff|x": numbers(1)}), result({"0|diff|x": numbers(1 + off)})).broken
        == broken
    )


def test_a_blob_that_one_engine_lacks_is_a_fault() -> None:
    found = compare(CASE, result({"0|data|x": numbers(1)}), result())
    assert found.faults == ("only one engine has 0|data|x",)


def test_nets_that_tell_other_things_of_themselves_are_a_fault() -> None:
    other = Result(None, {}, BUILT | {"blobs": ["x", "y"]})
    assert compare(CASE, result(), other).faults == ("the net's blobs are ['x', 'y'], Caffe's ['x']",)


def test_a_bias_whose_gradient_cancels_is_measured_by_its_layer() -> None:
    theirs = {"0|gradient|c|0": numbers(10, 20), "0|gradient|c|1": numbers(0.001)}
    ours = theirs | {"0|gradient|c|1": numbers(-0.001)}
    net = replace(CASE, several_layers=True)
    assert compare(net, result(theirs), result(ours)).gradient.difference == pytest.approx(0.002 / 2)
    assert compare(CASE, result(theirs), result(ours)).gradient.difference == pytest.approx(2)


def test_diffs_that_nobody_wants_are_left_alone() -> None:
    learns_nothing = parse_prototxt(
        'layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 1 } } }', pb.NetParameter
    )
    theirs, ours = result({"0|diff|x": numbers(1)}), result({"0|diff|x": numbers(2)})
    assert compare(CASE, theirs, ours).broken
    assert not compare(replace(CASE, net=learns_nothing), theirs, ours).broken


ABORT = Refused(["signal 6"], "silence.cpp:1] Check failed: no noise", "build")
GOOD = Refused(["LayerError", "InputError", "Exception"], "layer quiet: it is loud", "build")


def refused(theirs: Refused | None, ours: Refused | None) -> Comparison:
    return compare(CASE, result(refused=theirs), result(refused=ours))


def test_both_refuse() -> None:
    found = refused(ABORT, GOOD)
    assert found.refused
    assert not found.broken


@pytest.mark.parametrize(
    ("theirs", "ours", "fault"),
    [
        (ABORT, None, "only Caffe refuses it: signal 6 at build: silence.cpp"),
        (None, GOOD, "only ours refuses it: LayerError at build: layer quiet: it is loud"),
        (ABORT, Refused(["KeyError", "Exception"], "'quiet'", "build"), "ours does not refuse it properly"),
        (ABORT, Refused(["crash", "signal 11"], "signal 11", "build"), "ours does not refuse it properly"),
        (ABORT, Refused(["InputError"], "it is loud", "build"), "ours refuses it without naming the layer"),
        (
            ABORT,
            Refused(["InputError"], "layer quiet:\nloud", "build"),
            "ours refuses it in more than one line",
        ),
    ],
)
def test_faults_of_refusals(theirs: Refused | None, ours: Refused | None, fault: str) -> None:
    (told,) = refused(theirs, ours).faults
    assert told.startswith(fault)
    assert refused(theirs, ours).broken


def test_what_caffe_crashes_at_ours_may_compute() -> None:
    assert not refused(Refused(["crash", "signal 8"], "signal 8", "pass 0, backward"), None).broken
