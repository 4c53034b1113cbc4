"""What a filler's numbers must be: true of numbers drawn so, and not of others."""

import numpy as np
import pytest

from batchbrew.parity.filler_cases import filler_faults
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

SHAPE = (40, 10, 3, 2)  # 60 inputs to each output, 240 outputs of each input
GENERATOR = np.random.default_rng(0)
EVEN = GENERATOR.uniform(-1, 1, SHAPE).astype(np.float32)
NORMAL = GENERATOR.normal(size=SHAPE).astype(np.float32)
SOME = GENERATOR.random(SHAPE) < 1 / 8
UNIT = (EVEN + 1) / (EVEN + 1).sum(axis=(1, 2, 3), keepdims=True)


def faults(text: str, numbers: Array) -> list[str]:
    return list(filler_faults(parse_prototxt(text, pb.FillerParameter), numbers))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('type: "uniform" min: -1 max: 3', 1 + 2 * EVEN),
        ('type: "gaussian" mean: 2 std: 0.5', 2 + 0.5 * NORMAL),
        ('type: "gaussian" std: 3 sparse: 5', 3 * NORMAL * SOME),  # 5 of 40
        ('type: "xavier"', EVEN * (3 / 60) ** 0.5),
        ('type: "xavier" variance_norm: FAN_OUT', EVEN * (3 / 240) ** 0.5),
        ('type: "xavier" variance_norm: AVERAGE', EVEN * (3 / 150) ** 0.5),
        ('type: "msra"', NORMAL * (2 / 60) ** 0.5),
        ('type: "msra" variance_norm: FAN_OUT', NORMAL * (2 / 240) ** 0.5),
        ('type: "positive_unitball"', UNIT),
    ],
)
def test_right_numbers_and_wrong_ones(text: str, right: Array) -> None:
    assert faults(text, right) == []
    assert faults(text, np.float32(1.2) * right)
    assert faults(text, np.full(SHAPE, right.mean(), np.float32))
    assert faults(text, NORMAL if "uni" in text or "xavier" in text else EVEN)
