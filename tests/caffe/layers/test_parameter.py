"""Parameter: a blob that learns."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.parity.case import Case, Pass
from batchbrew.parity.results import Result
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example

NET = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "tested" type: "Parameter" top: "p" parameter_param { shape { dim: 2 dim: 3 } } }
layer { name: "product" type: "Eltwise" bottom: "x" bottom: "p" top: "y" eltwise_param { operation: PROD }
        loss_weight: 0.5 }
"""
X = np.arange(6, dtype=np.float32).reshape(2, 3)
LEARNED = Case(
    "net", 1, 1, parse_prototxt(NET, pb.NetParameter), pb.TRAIN,
    [Pass({"x": X}), Pass({"x": X + 1}, clear=False)], parameters={("tested", 0): X - 2},
)  # fmt: skip

AGREED = [example("Parameter", LEARNED)]


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_what_reaches_the_blob_is_the_parameters_gradient(tmp_path: Path) -> None:
    """Not added to that of the pass before: the layer behind writes it as that of a bottom."""
    found = compute(LEARNED, tmp_path / "case")
    assert found["0|data|p"].tolist() == (X - 2).tolist()
    assert found["0|gradient|tested|0"].tolist() == (X / 2).tolist()
    assert found["1|gradient|tested|0"].tolist() == ((X + 1) / 2).tolist()


def test_it_is_zero_at_first(tmp_path: Path) -> None:
    net = build(Case("net", 1, 1, LEARNED.net, pb.TRAIN, []), tmp_path / "case")
    net.forward()
    assert not net.blobs["p"].data.any() and net.params["tested"][0].shape == (2, 3)
