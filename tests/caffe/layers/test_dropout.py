"""Dropout: the mask, its scale, both phases, in place; real Caffe where nothing is random."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.caffe.layer import LayerError
from batchbrew.parity.results import Result
from batchbrew.proto import caffe_pb2 as pb
from tests.caffe.layers.single_layer import assert_as_in_caffe, build, compute, example, layer_case

X = np.arange(1, 20001, dtype=np.float32).reshape(2, 10000)
DY = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4, 1)


def dropout(ratio: float) -> str:
    return f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}'


AGREED = [
    example(f"dropout {ratio} of phase {phase}{' in place' * in_place}", layer_case(
        dropout(ratio), DY + 1, in_place=in_place, phase=phase, diffs={"x0" if in_place else "y": DY}
    ))
    for ratio, phase in ((0, pb.TRAIN), (0, pb.TEST), (0.5, pb.TEST), (1, pb.TEST))
    for in_place in (False, True)
]  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_as_real_caffe(name: str, caffe_answers: Mapping[str, Result], tmp_path: Path) -> None:
    assert_as_in_caffe(name, caffe_answers, tmp_path)


@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_left_is_scaled_and_both_passes_drop_the_same(in_place: bool, tmp_path: Path) -> None:
    caffe.set_random_seed(1)
    y = "x0" if in_place else "y"
    case = layer_case(dropout(0.2), X, in_place=in_place, diffs={y: -X})
    found = compute(case, tmp_path / "case")
    kept = found[f"0|data|{y}"] != 0
    assert 0.78 < kept.mean() < 0.82
    np.testing.assert_allclose(found[f"0|data|{y}"], kept * X * np.float32(1.25), rtol=1e-6)
    np.testing.assert_allclose(found["0|diff|x0"], kept * -X * np.float32(1.25), rtol=1e-6)


def test_every_pass_draws_anew_and_a_seed_repeats_it(tmp_path: Path) -> None:
    net = build(layer_case(dropout(0.5), X), tmp_path / "case")
    net.blobs["x0"].data[...] = X
    passes = []
    for seed in (3, None, 3):
        if seed is not None:
            caffe.set_random_seed(seed)
        passes.append(net.forward()["y"].copy())
    assert (passes[0] != passes[1]).any()
    np.testing.assert_array_equal(passes[0], passes[2])


@pytest.mark.parametrize(("ratio", "shown"), [(1, "1"), (-0.1, "-0.1"), (float("nan"), "nan")])
def test_ratios_that_leave_nothing_are_refused_in_training(ratio: float, shown: str, tmp_path: Path) -> None:
    text = rf"layer tested \(Dropout\): dropout_ratio must be from 0 to below 1, not {shown}$"
    with pytest.raises(LayerError, match=text):
        compute(layer_case(dropout(ratio), [1]), tmp_path / "case")
