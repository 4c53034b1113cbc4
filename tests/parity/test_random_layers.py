"""Dropout's properties: true of a right result, and each wrong one found."""

from dataclasses import replace

import numpy as np
import pytest

from batchbrew.parity.case import Case, Pass
from batchbrew.parity.random_layers import broken_properties
from batchbrew.parity.results import Result
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

NET = """
force_backward: true
layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 400 } } }
layer { name: "d" type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 0.2 } }
"""
NUMBERS = np.linspace(1, 3, 400, dtype=np.float32)
ABOVE = np.linspace(-2, -1, 400, dtype=np.float32)
KEPT = np.arange(400) % 5 != 0
CASE = Case(
    "Dropout", 1, 0, parse_prototxt(NET, pb.NetParameter), pb.TRAIN, [Pass({"x": NUMBERS}, {"y": ABOVE})],
    random=True,
)  # fmt: skip


def result(data: Array, diff: Array) -> Result:
    return Result(None, {"0|data|y": data, "0|diff|x": diff}, {})


RIGHT = result(KEPT * NUMBERS * np.float32(1.25), KEPT * ABOVE * np.float32(1.25))


def test_a_right_result_has_no_fault() -> None:
    assert list(broken_properties(CASE, RIGHT, RIGHT)) == []
    assert list(broken_properties(replace(CASE, random=False), RIGHT, result(ABOVE, ABOVE))) == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (result(KEPT * NUMBERS, RIGHT.arrays["0|diff|x"]), "what is not dropped is not multiplied by 1.25"),
        (result(NUMBERS * np.float32(1.25), ABOVE * np.float32(1.25)), "0 of 400 dropped, not about 80"),
        (result(0 * NUMBERS, 0 * ABOVE), "400 of 400 dropped, not about 80"),
        (
            result(RIGHT.arrays["0|data|y"], ABOVE * np.float32(1.25)),
            "gradients are not dropped and multiplied",
        ),
        (result(RIGHT.arrays["0|data|y"], KEPT * ABOVE), "gradients are not dropped and multiplied"),
    ],
)
def test_faults(wrong: Result, fault: str) -> None:
    (told,) = broken_properties(CASE, RIGHT, wrong)
    assert told.startswith("ours: pass 0: ")
    assert fault in told
    (of_caffe,) = broken_properties(CASE, wrong, RIGHT)
    assert of_caffe.startswith("Caffe: ")


def test_in_place_a_later_pass_begins_with_what_the_earlier_left() -> None:
    net = parse_prototxt(NET.replace('top: "y"', 'top: "x"'), pb.NetParameter)
    case = replace(CASE, net=net, passes=[Pass({"x": NUMBERS}, {"x": ABOVE}), Pass({"x": NUMBERS})])
    data, factor = KEPT * NUMBERS * np.float32(1.25), KEPT * np.float32(1.25)
    once, twice = ABOVE * factor, ABOVE * factor * factor
    arrays = {"0|data|x": data, "0|diff|x": once, "1|data|x": data, "1|diff|x": twice}
    right, wrong = Result(None, arrays, {}), Result(None, arrays | {"1|diff|x": once}, {})
    assert list(broken_properties(case, right, right)) == []
    assert len(list(broken_properties(case, right, wrong))) == 1
