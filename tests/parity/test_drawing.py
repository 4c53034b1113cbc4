"""Cases are the same every time, and of all ways that gradients can be asked for."""

from collections import Counter

import numpy as np
import pytest

from batchbrew.errors import InputError
from batchbrew.parity.case import Case
from batchbrew.parity.conditioning import nudged
from batchbrew.parity.drawing import KINDS, check_kinds, draw, draw_cases
from batchbrew.parity.exercises import is_expected_to_be_built
from batchbrew.parity.specimens.specimens import MAKERS
from batchbrew.parity.specimens.values import usual
from batchbrew.proto import caffe_pb2 as pb
from tests.conftest import RunCaffe


def assert_same(one: Case, other: Case) -> None:
    assert one.net == other.net
    assert one.parameters.keys() == other.parameters.keys()
    for a, b in zip(one.passes, other.passes, strict=True):
        for name, array in a.data.items():
            np.testing.assert_array_equal(array, b.data[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_the_same_every_time(kind: str) -> None:
    assert_same(draw(kind, 3, 2), draw(kind, 3, 2))


def test_another_seed_is_another_case() -> None:
    assert draw("Pooling", 3, 2).net != draw("Pooling", 4, 2).net


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_twenty_of_each_type_that_can_be_built(kind: str) -> None:
    cases = list(draw_cases(kind, 1, 20))
    assert sum(map(is_expected_to_be_built, cases)) == 20
    assert {case.phase for case in cases} == {pb.TRAIN, pb.TEST}


def test_drawing_goes_on_where_it_ended() -> None:
    first, second = list(draw_cases("Slice", 1, 3)), list(draw_cases("Slice", 1, 3, first=2))
    assert first[2].net == second[0].net


def test_all_ways_to_ask_for_gradients_are_drawn() -> None:
    ways = Counter(
        (case.net.force_backward, bool(case.net.layer[-1].loss_weight)) for case in draw_cases("Scale", 1, 40)
    )
    assert set(ways) == {(True, False), (False, True), (False, False)}
    in_place = [
        case.net.layer[-1].top[0] == case.net.layer[-1].bottom[0] for case in draw_cases("Scale", 1, 40)
    ]
    assert 5 < sum(in_place) < 30


def test_later_passes_bring_other_numbers_of_images() -> None:
    shapes = [
        {each.data["in0"].shape for each in case.passes}
        for case in draw_cases("TanH", 1, 80)
        if "in0" in case.passes[0].data
    ]
    assert any(len(each) == 2 for each in shapes)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(InputError, match=r"--types Poling: .* did you mean Pooling"):
        check_kinds(["Poling"])
    assert check_kinds([]) == list(KINDS)


def test_nudged_numbers_are_a_last_bit_off_and_ties_stay() -> None:
    numbers = usual(np.random.default_rng(0), (1000,))
    moved = nudged(numbers, 1)
    assert 300 < (moved != numbers).sum() < 700
    np.testing.assert_allclose(moved, numbers, rtol=2e-7)
    assert (np.abs(moved) >= np.abs(numbers)).all()
    ties = np.repeat(np.array([0, 1, -2, 3], np.float32), 5)
    assert len(set(nudged(ties, 2).tolist())) == 4
    np.testing.assert_array_equal(nudged(ties, 2).astype(int), ties.astype(int))
    assert not any(nudged(np.zeros(1, np.float32), salt)[0] for salt in range(2**31, 2**31 + 20))


def test_every_type_of_real_caffe_is_drawn(run_caffe: RunCaffe) -> None:
    theirs = set(run_caffe("import caffe, json; print(json.dumps(list(caffe.layer_type_list())))"))
    assert theirs <= set(KINDS)
