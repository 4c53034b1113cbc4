"""Whose numbers may be rough: those of layers that round their factors, and of nets that have one."""

from dataclasses import replace

import pytest

from batchbrew.parity.case import Case, Pass
from batchbrew.parity.tolerances import BF16_LAYER, BF16_NET, FP32, Tolerances, tolerances_of
from batchbrew.proto import caffe_pb2 as pb


@pytest.mark.parametrize(
    ("types", "several", "precision", "expected"),
    [
        (["Input", "Convolution"], False, "bf16", BF16_LAYER),
        (["Input", "InnerProduct"], False, "bf16", BF16_LAYER),
        (["Input", "Pooling"], False, "bf16", FP32),
        (["Input", "Pooling", "TanH"], True, "bf16", FP32),
        (["Input", "Deconvolution", "TanH"], True, "bf16", BF16_NET),
        (["Input", "Convolution"], False, "fp32", FP32),
        (["Input", "Convolution"], False, None, FP32),  # as real Caffe is, compared with itself
    ],
)
def test_tolerances_of(types: list[str], several: bool, precision: str | None, expected: Tolerances) -> None:
    net = pb.NetParameter(layer=[pb.LayerParameter(type=kind) for kind in types])
    case = replace(Case("case", 1, 0, net, pb.TEST, [Pass()]), several_layers=several)
    assert tolerances_of(case, precision) == expected
