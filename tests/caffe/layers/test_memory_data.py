"""MemoryData: arrays that a program hands over, in batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.net import Net
from tests.caffe.layers.engines import make

LAYER = """layer { name: "memory" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }"""


def net(folder: Path) -> Net:
    return make(folder, LAYER)


def arrays(images: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    data = np.arange(images * 6, dtype=np.float32).reshape(images, 1, 2, 3)
    return data, np.arange(images, dtype=np.float32) + 100


def test_batches_go_round_and_see_later_changes(tmp_path: Path) -> None:
    memory, (data, labels) = net(tmp_path), arrays(6)
    memory.set_input_arrays(data, labels)
    seen = []
    for _ in range(4):
        out = memory.forward()
        seen.append((memory.blobs["data"].data[0, 0, 0, 0], out["label"].ravel().tolist()))
        data[0, 0, 0, 0] = -5  # before the first batch comes again; rectified
    assert seen == [(0, [100, 101]), (12, [102, 103]), (24, [104, 105]), (0, [100, 101])]
    assert data[0, 0, 0, 0] == -5  # not changed in place by the layer that works in place
    memory.set_input_arrays(data[2:4], labels[2:4].reshape(2, 1, 1, 1))
    assert memory.forward()["label"].tolist() == [[[[102]]], [[[103]]]]
    memory.set_input_arrays(
        data, np.stack([labels, labels + 1], 1)[:, 1]
    )  # a column: as in pycaffe it is copied
    assert memory.forward()["label"].ravel().tolist() == [101, 102]


@pytest.mark.parametrize(
    ("data", "labels", "complaint"),
    [
        (arrays(4)[0].astype(np.float64), arrays(4)[1], r"takes float32; data is float64: use data\.astype"),
        (arrays(4)[0], arrays(4)[1].astype(int), "takes float32; labels is int64"),
        (arrays(4)[0][:, :, :, ::-1], arrays(4)[1], "data is not one: use np.ascontiguousarray"),
        (arrays(4)[0].reshape(4, 1, 3, 2), arrays(4)[1], "takes data of shape N×1×2×3, not 4×1×3×2"),
        (arrays(4)[0].reshape(4, 6), arrays(4)[1], "not 4×6"),
        (arrays(4)[0], arrays(2)[1], "as many labels as images, not 2 for 4"),
        (*arrays(3), "a multiple of its batch_size 2, not 3 images"),
        (*arrays(0), "a multiple of its batch_size 2, not 0 images"),
        ([1.0], arrays(2)[1], "data is a list"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, data: Any, labels: Any, complaint: str) -> None:
    with pytest.raises(LayerError, match=rf"layer memory \(MemoryData\): .*{complaint}"):
        net(tmp_path).set_input_arrays(data, labels)


def test_a_pass_before_there_are_arrays(tmp_path: Path) -> None:
    memory = net(tmp_path)
    assert memory.blobs["data"].shape == (2, 1, 2, 3)
    assert memory.blobs["label"].shape == (2,)
    with pytest.raises(LayerError, match=r"call net\.set_input_arrays"):
        memory.forward()
