"""DummyData: constant tops once, others at each pass."""

from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe import mode
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers import dummy_data
from batchbrew.errors import InputError
from tests.caffe.layers.engines import Case, in_ours, in_real_caffe, make


def layer(param: str, tops: str = 'top: "a" top: "b"') -> str:
    return f'layer {{ name: "dummy" type: "DummyData" {tops} dummy_data_param {{ {param} }} }}'


CASES = [
    Case("zeros", layer("shape { dim: 2 dim: 3 }")),
    Case("one_filler", layer("data_filler { value: 1.5 } shape { dim: 2 } shape { dim: 1 dim: 4 }")),
    Case("each", layer("data_filler { value: 1 } data_filler { value: -2 } num: 3 channels: 2 height: 1 width: 4 "
                       "width: 5")),
    Case("in_place", layer("data_filler { value: -3 } shape { dim: 2 }", 'top: "a"')
         + 'layer { name: "p" type: "Power" bottom: "a" top: "a" power_param { shift: 1 } }'),
]  # fmt: skip


def test_constants_are_caffes(caffe_python: Path, tmp_path: Path) -> None:
    real = in_real_caffe(caffe_python, CASES, tmp_path)
    for case in CASES:
        ours = in_ours(case, tmp_path)
        for blob, expected in real[case.name].items():
            assert np.array_equal(ours[blob], expected), (case.name, blob)
    assert [real["in_place"][f"{number} a"][0] for number in range(3)] == [-2, -1, 0]  # never filled anew


def test_random_tops_are_filled_at_each_pass_and_constant_ones_keep_what_is_written(tmp_path: Path) -> None:
    mode.set_random_seed(3)
    fillers = 'data_filler { type: "gaussian" std: 2 mean: 5 } data_filler { value: 7 }'
    net = make(tmp_path, layer(f"{fillers} shape {{ dim: 4000 }} shape {{ dim: 3 }}"))
    assert net.blobs["b"].data.tolist() == [7, 7, 7]
    net.blobs["b"].data[1] = 8
    first, second = net.forward()["a"].copy(), net.forward()["a"].copy()
    assert abs(first.mean() - 5) < 0.2 and abs(first.std() - 2) < 0.1
    assert not np.array_equal(first, second)
    assert net.blobs["b"].data.tolist() == [7, 8, 7]
    net.blobs["a"].reshape(2, 3)
    net.reshape()
    assert net.forward()["a"].shape == (2, 3)


@pytest.mark.parametrize(
    ("param", "complaint"),
    [
        ('data_filler { type: "nonsense" } shape { dim: 1 }', "has a filler of type 'nonsense'"),
        (
            "data_filler { value: 1 } data_filler { value: 2 } data_filler { value: 3 } shape { dim: 1 }",
            "has 3 data_fill",
        ),
        ("num: 1 channels: 2 height: 3", "each once or for each top"),
        ("shape { dim: 1000000 dim: 1000000 }", "too large"),
        ("shape { dim: 1 } shape { dim: 1 } shape { dim: 1 }", "has 3 dummy_data_param"),
    ],
)
def test_what_is_refused(tmp_path: Path, param: str, complaint: str) -> None:
    with pytest.raises(InputError, match=rf"layer dummy \(DummyData\): .*{complaint}"):
        make(tmp_path, layer(param))


def test_what_does_not_fit_into_memory_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchbrew.caffe.memory_limit.available_bytes", lambda: 1000)
    monkeypatch.setattr(dummy_data, "fill", lambda *_: pytest.fail("it is made"))
    with pytest.raises(LayerError, match=r"layer dummy \(DummyData\): the net takes"):
        make(tmp_path, layer("shape { dim: 200 }"))
