"""The builder: order, tops, and the mistakes it catches."""

import pytest

from batchbrew.nets.netspec import NetBuilder
from batchbrew.proto import caffe_pb2 as pb


def test_layers_are_appended_and_the_first_top_returned() -> None:
    net = NetBuilder("tiny")
    assert net.add("in", "Input", tops=["a", "b"]) == "a"
    assert net.add("sum", "Eltwise", ["a", "b"]) == "sum"
    assert net.net.name == "tiny"
    assert [(layer.name, list(layer.bottom), list(layer.top)) for layer in net.net.layer] == [
        ("in", [], ["a", "b"]),
        ("sum", ["a", "b"], ["sum"]),
    ]


def test_a_bottom_must_have_been_made() -> None:
    with pytest.raises(AssertionError, match="relu reads conv, which no layer before it makes"):
        NetBuilder("tiny").add("relu", "ReLU", ["conv"])


def test_a_name_is_used_twice_only_in_different_phases() -> None:
    net = NetBuilder("tiny")
    for phase in (pb.TRAIN, pb.TEST):
        net.add("data", "Input", include=[pb.NetStateRule(phase=phase)])
    with pytest.raises(AssertionError, match="two layers are named data"):
        net.add("data", "Input")
    net.add("more", "Input")
    with pytest.raises(AssertionError, match="two layers are named more"):
        net.add("more", "Input", include=[pb.NetStateRule(phase=pb.TEST)])
