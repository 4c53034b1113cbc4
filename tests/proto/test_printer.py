import base64
import json
import random
from pathlib import Path

import pytest

from batchbrew.proto.caffe_pb2 import Datum, NetParameter, SolverParameter
from batchbrew.proto.parser import parse_prototxt
from batchbrew.proto.printer import format_prototxt, quoted, short_number
from tests.conftest import RunCaffe
from tests.proto.random_messages import fill
from tests.proto.test_caffe_proto import NVIDIA_FIELDS

NET = """\
name: "tiny"
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  param {
    lr_mult: 1
    decay_mult: 0.1
  }
  include {
    phase: TEST
  }
  convolution_param {
    num_output: 64
    bias_term: false
    pad: 3
    kernel_size: 7
    stride: 2
    weight_filler {
      type: "msra"
    }
  }
}
layer {
  name: "bn1"
  batch_norm_param {
    moving_average_fraction: 0.9
    eps: 1e-05
  }
}
"""

SOLVER = """\
net: "train_val.prototxt"
test_iter: 3125
test_interval: 5000
base_lr: 0.05
max_iter: 320000
lr_policy: "poly"
power: 1
momentum: 0.9
weight_decay: 0.0005
snapshot_format: HDF5
random_seed: -5
"""


def test_layout() -> None:
    assert format_prototxt(parse_prototxt(NET, NetParameter)) == NET
    assert format_prototxt(parse_prototxt(SOLVER, SolverParameter)) == SOLVER


def test_empty_messages() -> None:
    net = NetParameter()
    assert format_prototxt(net) == ""
    net.state.SetInParent()
    assert format_prototxt(net) == "state {\n}\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (0.9, "0.9"), (0.0005, "0.0005"), (1e-05, "1e-05"), (1.0, "1"), (-2.0, "-2"), (0.0, "0"),
        (-0.0, "-0"), (1000000.0, "1000000"), (16777216.0, "16777216"), (1e20, "1e+20"), (1 / 3, "0.33333334"),
        (3.4028234663852886e38, "3.4028235e+38"), (1e-45, "1.4013e-45"), (float("inf"), "inf"), (float("-inf"), "-inf"),
        (float("nan"), "nan"), (87.3365, "87.3365"), (9.9999998e-03, "0.01"),
    ],
)  # fmt: skip
def test_floats(value: float, text: str) -> None:
    stored = SolverParameter(base_lr=value).base_lr  # rounded to a float
    assert short_number(stored, "float") == text


def test_doubles() -> None:
    assert short_number(0.1, "double") == "0.1"
    assert short_number(1 / 3, "double") == "0.3333333333333333"
    assert short_number(2.0, "double") == "2"


def test_strings() -> None:
    assert quoted('a"b\\c\n\t\r\x01\x7f é') == r'"a\"b\\c\n\t\r\001\177 é"'
    assert quoted(b'a"\xff\n\x001') == r'"a\"\377\n\0001"'
    assert format_prototxt(Datum(data=b"\x00\xfe", label=3)) == 'data: "\\000\\376"\nlabel: 3\n'


@pytest.mark.parametrize("message_class", [NetParameter, SolverParameter])
def test_what_is_written_reads_back_the_same(
    message_class: type[NetParameter] | type[SolverParameter],
) -> None:
    for seed in range(15):
        message = message_class()
        fill(message, random.Random(seed))
        assert parse_prototxt(format_prototxt(message), message_class) == message, seed


# Real Caffe's own messages: our text read there, and its text (protobuf's C++ printer) sent back.
THERE_AND_BACK = """
import base64, importlib.util, json, sys
sys.path.insert(0, importlib.util.find_spec("caffe").submodule_search_locations[0])  # all of caffe starts slowly
from google.protobuf import text_format
from proto import caffe_pb2
answers = []
for text, content in json.load(open(sys.argv[1])):
    parsed, received = caffe_pb2.NetParameter(), caffe_pb2.NetParameter()
    text_format.Parse(text, parsed)
    received.ParseFromString(base64.b64decode(content))
    sent = base64.b64encode(received.SerializeToString(deterministic=True)).decode()
    answers.append([parsed == received, str(received), sent])
print(json.dumps(answers))
"""


def test_round_trips_through_real_caffe(run_caffe: RunCaffe, tmp_path: Path) -> None:
    nets = [NetParameter() for _ in range(10)]
    for seed, net in enumerate(nets):
        fill(net, random.Random(1000 + seed))
        for layer in net.layer:
            for name in NVIDIA_FIELDS["BatchNormParameter"]:
                layer.batch_norm_param.ClearField(name)  # BVLC Caffe reads no such text
    given = [[format_prototxt(net), base64.b64encode(net.SerializeToString()).decode()] for net in nets]
    (tmp_path / "given.json").write_text(json.dumps(given))
    for net, (same, text, content) in zip(
        nets, run_caffe(THERE_AND_BACK, tmp_path / "given.json"), strict=True
    ):
        assert same, "real Caffe reads something else from our text than from our binary form"
        assert parse_prototxt(text, NetParameter) == net
        assert NetParameter.FromString(base64.b64decode(content)) == net
