"""Among the drawn chains are all that the torch engine computes at once, and some that it does not."""

from collections import Counter
from itertools import pairwise

from batchbrew.parity.drawing import draw
from batchbrew.parity.exercises import is_expected_to_be_built
from batchbrew.proto import caffe_pb2 as pb

CASES = [draw("chain", 1, number) for number in range(40)]


def follows(one: pb.LayerParameter, other: pb.LayerParameter) -> bool:
    return list(other.bottom) == list(one.top)


def test_all_sorts_are_drawn() -> None:
    sorts: Counter[tuple[object, ...]] = Counter()
    for case in CASES:
        sorts.update({("phase", case.phase)})
        for one, other in pairwise(case.net.layer):
            if follows(one, other):
                data = one.bottom[:1] == ["data"]
                sorts[one.type, other.type, "in place" if one.top == other.top else "", data] += 1
    for place in ("in place", ""):
        assert sorts["BatchNorm", "Scale", place, False] > 5
        assert sorts["Scale", "ReLU", place, False] > 5
    assert sorts["BatchNorm", "Convolution", "", True] + sorts["Scale", "Convolution", "", False] > 5
    assert sorts["BatchNorm", "InnerProduct", "", True] + sorts["Scale", "InnerProduct", "", False] > 1
    assert sum(layer.type == "Eltwise" for case in CASES for layer in case.net.layer) > 10
    assert sorts["phase", pb.TEST] > 5


def test_most_can_be_built() -> None:
    assert sum(map(is_expected_to_be_built, CASES)) > 35
