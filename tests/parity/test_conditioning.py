"""What is left of two numbers that nearly cancel may differ; what does not cancel may not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchbrew.parity.case import Case, Pass, write_case
from batchbrew.parity.compare import compare
from batchbrew.parity.conditioning import MARGIN, judge_conditions, nudged, nudged_as_bf16
from batchbrew.parity.engines import bvlc, run_probe
from batchbrew.parity.results import read_result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

NET = """
layer { name: "input" type: "Input" top: "a" top: "b" input_param { shape { dim: 64 } } }
layer { name: "minus" type: "Eltwise" bottom: "a" bottom: "b" top: "c" eltwise_param { coeff: 1 coeff: -1 } }
"""
ONE = np.linspace(1, 2, 64, dtype=np.float32)
SAME_BUT_LAST_BITS = np.nextafter(ONE, np.float32(3), dtype=np.float32)


@pytest.mark.parametrize(
    ("other", "factor", "excused"),
    [
        (SAME_BUT_LAST_BITS, 1.5, True),
        (SAME_BUT_LAST_BITS, 100, False),  # much more than a last bit explains
        (-ONE, 1.001, False),
    ],
)
def test_only_what_caffe_itself_is_not_sure_of_is_excused(
    caffe_python: Path, tmp_path: Path, other: Array, factor: float, excused: bool
) -> None:
    net = parse_prototxt(NET, pb.NetParameter)
    case = Case("Eltwise", 1, 0, net, pb.TEST, [Pass({"a": ONE, "b": other}, backward=False)])
    write_case(case, tmp_path / "cases" / "0")
    caffe = bvlc(caffe_python)
    run_probe([caffe], tmp_path / "cases")
    theirs = read_result(tmp_path / "cases" / "0", "bvlc")
    ours = replace(
        theirs, arrays={**theirs.arrays, "0|data|c": theirs.arrays["0|data|c"] * np.float32(factor)}
    )
    found = compare(case, theirs, ours)
    assert found.broken
    (judged,) = judge_conditions([(found, tmp_path / "cases" / "0")], caffe, tmp_path / "nudged")
    assert judged.ill_conditioned == excused
    assert judged.broken == (not excused)
    assert (judged.times_own <= MARGIN) == excused


def test_nothing_to_judge(tmp_path: Path) -> None:
    assert judge_conditions([], bvlc(tmp_path / "no_caffe"), tmp_path) == []


def test_as_bf16_it_is_the_same_numbers_that_move_but_further() -> None:
    numbers = np.linspace(-3, 5, 500, dtype=np.float32)
    moved = nudged_as_bf16(numbers, 3)
    np.testing.assert_array_equal(moved != numbers, nudged(numbers, 3) != numbers)
    np.testing.assert_allclose(moved[moved != numbers], numbers[moved != numbers] * 257 / 256, rtol=1e-6)
    labels = np.arange(200, dtype=np.float32)
    np.testing.assert_array_equal(nudged_as_bf16(labels, 1).astype(int), labels.astype(int))
