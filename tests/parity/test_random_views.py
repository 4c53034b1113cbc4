"""Among the drawn nets are layers in place behind each kind of view, and chains that they write over."""

from collections import Counter

from batchbrew.parity.drawing import draw
from batchbrew.parity.exercises import is_expected_to_be_built
from batchbrew.parity.random_views import VIEWS

CASES = [draw("view", 1, number) for number in range(60)]


def test_all_sorts_are_drawn() -> None:
    in_place: Counter[str] = Counter()
    rectified = 0
    for case in CASES:
        views = {layer.top[0]: layer.type for layer in case.net.layer if layer.type in VIEWS}
        for layer in case.net.layer:
            if layer.bottom[:1] == layer.top[:1] and layer.bottom[0] in views:
                in_place[views[layer.bottom[0]]] += 1
                rectified += layer.type == "ReLU"
    assert set(in_place) == set(VIEWS)
    assert rectified > 5


def test_all_can_be_built() -> None:
    assert all(map(is_expected_to_be_built, CASES))
