"""SPP: numbers worked by hand, and real Caffe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew.parity.results import Result
from batchbrew.proto import caffe_pb2 as pb
from tests.caffe.layers.single_layer import assert_as_in_caffe, compute, example, layer_case

RANDOM = np.random.default_rng(8)
CASES = {
    "one level": ("pyramid_height: 1", (2, 3, 5, 4), (2, 3, 1, 1)),
    "three levels": ("pyramid_height: 3", (2, 3, 9, 12), (2, 3 * 21)),
    "uneven bins": ("pyramid_height: 2", (2, 2, 5, 3), (2, 2 * 5)),
}
AGREED = [
    example(
        f"SPP {method}: {name}",
        layer_case(
            f'type: "SPP" spp_param {{ {fields} pool: {method} }}', RANDOM.integers(-5, 3, shape),
            diffs={"y": RANDOM.standard_normal(top)},
        ),
    )
    for name, (fields, shape, top) in CASES.items() for method in ("MAX", "AVE")
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


def test_two_levels_by_hand(tmp_path: Path) -> None:
    """All bins of a level, channel by channel, then those of the next."""
    case = layer_case(
        'type: "SPP" spp_param { pyramid_height: 2 }', [[[[1, 2], [3, 4]], [[8, 7], [6, 5]]]],
        diffs={"y": [[100, 1000, 1, 2, 3, 4, 5, 6, 7, 8]]},
    )  # fmt: skip
    found = compute(case, tmp_path / "case")
    assert found["0|data|y"].tolist() == [[4, 8, 1, 2, 3, 4, 8, 7, 6, 5]]
    assert found["0|diff|x0"].ravel().tolist() == [1, 2, 3, 104, 1005, 6, 7, 8]


def test_stochastic(tmp_path: Path) -> None:
    """As Pooling has it: in a test the weighted mean."""
    fields = 'type: "SPP" spp_param { pyramid_height: 2 pool: STOCHASTIC }'
    case = layer_case(fields, [[[[1, 0], [3, 4]]]], phase=pb.TEST, backward=False)
    assert compute(case, tmp_path / "case")["0|data|y"].tolist() == [[26 / 8, 1, 0, 3, 4]]
