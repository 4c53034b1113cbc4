"""Input: shapes from the prototxt, and those that a program gives."""

from pathlib import Path

import pytest

from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.net import Net


def net(tmp_path: Path, text: str) -> Net:
    (tmp_path / "net.prototxt").write_text(text)
    return Net(tmp_path / "net.prototxt", 1)


def test_one_shape_is_for_all_tops(tmp_path: Path) -> None:
    made = net(
        tmp_path,
        'layer { name: "i" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }',
    )
    assert made.inputs == ["a", "b"] and [blob.shape for blob in made.blobs.values()] == [(2, 3), (2, 3)]


def test_a_shape_given_by_a_program_stays_and_so_do_its_numbers(tmp_path: Path) -> None:
    made = net(tmp_path, 'layer { name: "i" type: "Input" top: "a" input_param { shape { dim: 2 } } }')
    made.blobs["a"].reshape(3)
    made.blobs["a"].data[...] = [1, 2, 3]
    made.reshape()
    made.forward()
    made.backward()
    assert made.blobs["a"].data.tolist() == [1, 2, 3]


def test_a_wrong_number_of_shapes_is_refused(tmp_path: Path) -> None:
    text = 'layer { name: "i" type: "Input" top: "a" input_param { shape { dim: 1 } shape { dim: 2 } } }'
    with pytest.raises(LayerError, match=r"layer i \(Input\): "):
        net(tmp_path, text)
