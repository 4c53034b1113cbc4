"""Which blobs want a gradient, in nets worked through by hand."""

import pytest

from batchbrew.parity.case import Case
from batchbrew.parity.wanted import unwanted_diffs
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt

INPUT = 'layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
LEARNS = 'layer { name: "s" type: "Scale" bottom: "x" top: "y" }'
FROZEN = 'layer { name: "s" type: "Scale" bottom: "x" top: "y" param { lr_mult: 0 } }'
COLLECTS = 'layer { name: "s" type: "BatchNorm" bottom: "x" top: "y" }'
AFTER = 'layer { name: "t" type: "TanH" bottom: "y" top: "z" }'
NOT_DOWN = 'layer { name: "t" type: "TanH" bottom: "y" top: "z" propagate_down: false }'
DOWN = 'layer { name: "t" type: "TanH" bottom: "y" top: "z" propagate_down: true }'


@pytest.mark.parametrize(
    ("text", "unwanted"),
    [
        (INPUT + LEARNS + AFTER, {"x"}),
        (INPUT + FROZEN + AFTER, {"x", "y", "z"}),
        (INPUT + COLLECTS + AFTER, {"x", "y", "z"}),
        (INPUT + LEARNS + NOT_DOWN, {"x", "y"}),
        (INPUT + LEARNS + DOWN, {"x"}),
        (INPUT + FROZEN + DOWN, {"x", "y", "z"}),
        ("force_backward: true " + INPUT + FROZEN + AFTER, set()),
        (INPUT + 'layer { name: "t" type: "TanH" bottom: "gone" top: "z" }', set()),
    ],
)
def test_unwanted_diffs(text: str, unwanted: set[str]) -> None:
    net = parse_prototxt(text, pb.NetParameter)
    assert unwanted_diffs(Case("wiring", 1, 0, net, pb.TRAIN, [])) == unwanted
