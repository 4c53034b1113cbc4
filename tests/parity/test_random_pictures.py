"""Random crops and mirror images: right ones pass, each wrong one is found."""

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
layer { name: "d" type: "Data" top: "data" data_param { batch_size: 5 }
  transform_param { crop_size: 3 mirror: true mean_value: 10 scale: 0.5 } }
"""
RECORDS = [np.random.default_rng(index).uniform(0, 255, (2, 6, 5)).astype(np.float32) for index in range(3)]
CASE = Case(
    "Data", 1, 0, parse_prototxt(NET, pb.NetParameter), pb.TRAIN, [Pass(), Pass()], random=True, pictures=RECORDS
)  # fmt: skip


def picture(record: int, row: int, column: int, mirrored: bool = False) -> Array:
    part = (RECORDS[record][:, row : row + 3, column : column + 3] - np.float32(10)) / np.float32(2)
    return part[:, :, ::-1] if mirrored else part


def result(*pictures: Array) -> Result:
    half = len(pictures) // 2
    return Result(
        None, {"0|data|data": np.stack(pictures[:half]), "1|data|data": np.stack(pictures[half:])}, {}
    )


GOOD = [picture(index % 3, index % 4, index % 3, index % 2 == 0) for index in range(10)]


def faults(case: Case, *pictures: Array) -> list[str]:
    return list(broken_properties(case, result(*GOOD), result(*pictures)))


def test_right_pictures() -> None:
    assert faults(CASE, *GOOD) == []


@pytest.mark.parametrize("wrong", [picture(1, 0, 0), 2 * GOOD[3], GOOD[3] + 5, GOOD[3][:, ::-1]])
def test_a_wrong_picture_is_found(wrong: Array) -> None:
    assert faults(CASE, *GOOD[:3], wrong, *GOOD[4:]) == [
        "ours: pass 0: picture 3 of the batch is no part of its record"
    ]


def test_always_the_same_part_is_found() -> None:
    (fault,) = faults(CASE, *(picture(index % 3, 1, 1) for index in range(10)))
    assert "all pictures were cut and mirrored alike" in fault


def test_in_test_the_centre_is_cut() -> None:
    in_test = replace(CASE, phase=pb.TEST)
    centre = [picture(index % 3, 1, 1, index % 2 == 0) for index in range(10)]
    assert list(broken_properties(in_test, result(*centre), result(*centre))) == []
    assert len(list(broken_properties(in_test, result(*centre), result(*GOOD)))) > 3
