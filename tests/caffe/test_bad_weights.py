"""Damaged files of weights: they are taken whole or not."""

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.blobs import array_blob
from tests.caffe.written_nets import TRAINED, layer, made, source


def weights(*, shape: tuple[int, ...] = (3, 2), diffs: int = 6, numbers: int = 6) -> pb.NetParameter:
    """For TRAINED; the second blob is what is damaged, the first is sound and changes all numbers."""
    net = pb.NetParameter(name="damaged")
    made = net.layer.add(name="ip", type="InnerProduct", blobs=[array_blob(np.full((3, 2), 7.0, np.float32))])
    made.blobs.add(shape=pb.BlobShape(dim=shape), data=[1.0] * numbers, diff=[1.0] * diffs)
    return net


@pytest.mark.parametrize(
    ("damaged", "complaint"),
    [
        (
            weights(shape=(3,), numbers=3, diffs=2),
            r"layer ip \(InnerProduct\): its parameter 1 .* a gradient of 2",
        ),
        (
            weights(shape=(3,), numbers=2, diffs=0),
            r"layer ip \(InnerProduct\): its parameter 1 has 3 numbers, but .* 2",
        ),
        (weights(shape=(4,), numbers=4), r"layer ip \(InnerProduct\): its parameter 1 is 3, but .* it is 4"),
        (weights(shape=(-3,)), "parameter 1 of layer ip has the shape -3: no length may be negative"),
        (
            weights(shape=(2**40, 2**40)),
            "parameter 1 of layer ip has the shape 1099511627776 × 1099511627776",
        ),
        (weights(shape=(1,) * 33), "parameter 1 of layer ip has 33 axes"),
    ],
)
def test_weights_are_taken_whole_or_not(damaged: pb.NetParameter, complaint: str, tmp_path: Path) -> None:
    net = made(tmp_path, TRAINED)
    before = [blob.data.copy() for blob in net.params["ip"]]
    (tmp_path / "bad.caffemodel").write_bytes(damaged.SerializeToString())
    with pytest.raises(InputError, match=complaint):
        net.copy_from(tmp_path / "bad.caffemodel")
    for blob, array in zip(net.params["ip"], before, strict=True):
        assert np.array_equal(blob.data, array)


def test_a_damaged_hdf5_is_taken_whole_or_not(tmp_path: Path) -> None:
    """The second data set's chunk is not what was compressed; the first is sound."""
    net = made(tmp_path, TRAINED)
    before = net.params["ip"][0].data.copy()
    path = tmp_path / "bad.caffemodel.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("data/ip")
        group["0"] = np.full((3, 2), 7, np.float32)
        group.create_dataset("1", data=np.full(3, 5, np.float32), chunks=(3,), fletcher32=True)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<fff", 5, 5, 5), struct.pack("<fff", 5, 6, 5)))
    with pytest.raises(
        InputError, match=r"bad\.caffemodel\.h5 is not an HDF5 file, or damaged \(.*read data"
    ):
        net.copy_from(path)
    assert np.array_equal(net.params["ip"][0].data, before)


@pytest.mark.parametrize("names", [("",), ("a", "a/0"), ("a/0", "a"), ("same", "same")])
def test_names_that_hdf5_does_not_take(names: tuple[str, ...], tmp_path: Path) -> None:
    learned = "inner_product_param { num_output: 2 }"
    layers = [layer("InnerProduct", learned, tops=f"y{index}", name=name) for index, name in enumerate(names)]
    net = made(tmp_path, source("dim: 1 dim: 2") + "".join(layers))
    with pytest.raises(InputError, match=r"layer '.*' \(InnerProduct\): cannot be saved to HDF5"):
        net.save_hdf5(tmp_path / "saved.h5")
    assert not (tmp_path / "saved.h5").exists()


def test_layers_of_names_in_names(tmp_path: Path) -> None:
    """Real Caffe writes this, and then takes the inner layer for a parameter of the outer one."""
    learned = "inner_product_param { num_output: 2 weight_filler { type: 'xavier' } }"
    layers = [layer("InnerProduct", learned, tops=name, name=name) for name in ("fc", "fc/inner")]
    net = made(tmp_path, source("dim: 1 dim: 2") + "".join(layers))
    net.save_hdf5(tmp_path / "saved.caffemodel.h5")
    before = [blob.data.copy() for blobs in net.params.values() for blob in blobs]
    for blob in (blob for blobs in net.params.values() for blob in blobs):
        blob.data[...] = 9
    net.copy_from(tmp_path / "saved.caffemodel.h5")
    after = [blob.data for blobs in net.params.values() for blob in blobs]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
