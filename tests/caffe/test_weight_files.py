"""Parameters to and from .caffemodel and HDF5, with real Caffe on the other side."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary, write_binary
from tests.conftest import RunCaffe

NET = """
name: "two"
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "first" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" }
        inner_product_param { num_output: 3 bias_term: false weight_filler { type: "gaussian" std: 1 } } }
layer { name: "again" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { name: "b" }
        inner_product_param { num_output: 3 bias_filler { type: "uniform" } } }
"""


@pytest.fixture
def prototxt(tmp_path: Path) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


def outputs(net: caffe.Net) -> list[float]:
    images = np.arange(6, dtype=np.float32).reshape(2, 3) / 10
    return net.forward(x=images)["b"].ravel().tolist()


READ = """
import sys, json, os
os.environ["GLOG_minloglevel"] = "2"
import numpy as np, caffe
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
net.blobs["x"].data[...] = np.arange(6).reshape(2, 3) / 10.0
found = net.forward()["b"].ravel().tolist()
net.save(sys.argv[3] + ".caffemodel")
net.save_hdf5(sys.argv[3] + ".caffemodel.h5")
print(json.dumps(found))
"""


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_real_caffe_reads_what_we_write_and_we_what_it_writes(
    prototxt: Path, tmp_path: Path, run_caffe: RunCaffe, suffix: str
) -> None:
    net = caffe.Net(prototxt, caffe.TEST)
    file = tmp_path / f"ours{suffix}"
    if suffix.endswith(".h5"):
        net.save_hdf5(file)
    else:
        net.save(file)
    expected = outputs(net)
    theirs = run_caffe(READ, prototxt, file, tmp_path / "theirs")
    assert theirs == pytest.approx(expected, rel=1e-6)
    for written in ("theirs.caffemodel", "theirs.caffemodel.h5"):
        again = caffe.Net(prototxt, str(tmp_path / written), caffe.TEST)
        assert outputs(again) == pytest.approx(expected, rel=1e-6)


def test_what_layers_share_is_written_once_to_hdf5_and_with_each_layer_to_a_caffemodel(
    prototxt: Path, tmp_path: Path
) -> None:
    net = caffe.Net(prototxt, caffe.TEST)
    net.save_hdf5(tmp_path / "net.h5", write_diff=True)
    with h5py.File(tmp_path / "net.h5") as file:
        assert {name: sorted(group) for name, group in file["data"].items()} == {
            "in": [], "first": ["0"], "again": ["1"],
        }  # fmt: skip
        assert sorted(file["diff"]["again"]) == ["1"]
    net.save(tmp_path / "net.caffemodel")
    saved = read_binary(tmp_path / "net.caffemodel", pb.NetParameter)
    assert [(layer.name, len(layer.blobs)) for layer in saved.layer] == [
        ("in", 0),
        ("first", 1),
        ("again", 2),
    ]


def test_parameters_by_name_and_only_those_that_are_there(prototxt: Path, tmp_path: Path) -> None:
    net = caffe.Net(prototxt, caffe.TEST)
    param = net.to_param()
    param.layer[1].name = "elsewhere"
    write_binary(tmp_path / "other.caffemodel", param)
    before = net.params["first"][0].data.copy()
    net.params["again"][1].data[...] = 0
    net.copy_from(tmp_path / "other.caffemodel")
    assert net.params["again"][1].data.any() and (net.params["first"][0].data == before).all()


def test_legacy_shapes_of_old_files(prototxt: Path, tmp_path: Path) -> None:
    net = caffe.Net(prototxt, caffe.TEST)
    param = net.to_param()
    for layer in param.layer:
        for blob in layer.blobs:
            dims = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
            blob.ClearField("shape")
            blob.num, blob.channels, blob.height, blob.width = dims
    write_binary(tmp_path / "old.caffemodel", param)
    expected = outputs(net)
    again = caffe.Net(prototxt, caffe.TEST, weights=tmp_path / "old.caffemodel")
    assert outputs(again) == expected


def test_weights_of_another_shape_are_refused_and_nothing_is_taken(prototxt: Path, tmp_path: Path) -> None:
    net = caffe.Net(prototxt, caffe.TEST)
    param = net.to_param()
    param.layer[1].blobs[0].data[:] = [1] * 9
    param.layer[2].blobs[1].shape.dim[:] = [1, 3]
    write_binary(tmp_path / "other.caffemodel", param)
    before = net.params["first"][0].data.copy()
    with pytest.raises(
        InputError, match=r"layer again \(InnerProduct\): its parameter 1 is 3, but in .* it is 1×3"
    ):
        net.copy_from(tmp_path / "other.caffemodel")
    assert (net.params["first"][0].data == before).all()


def test_fewer_parameters_are_refused(prototxt: Path, tmp_path: Path) -> None:
    net = caffe.Net(prototxt, caffe.TEST)
    param = net.to_param()
    del param.layer[2].blobs[1]
    write_binary(tmp_path / "other.caffemodel", param)
    with pytest.raises(InputError, match=r"layer again .* has 2 parameters, but .* holds 1"):
        net.copy_from(tmp_path / "other.caffemodel")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + b"\x00" * 90])
def test_hdf5_files_that_are_none(prototxt: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.h5").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.h5 is not an HDF5 file, or damaged"):
        caffe.Net(prototxt, caffe.TEST).copy_from(tmp_path / "bad.h5")


def test_hdf5_of_another_shape(prototxt: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["data/first/0"] = np.zeros((3, 4), np.float32)
    with pytest.raises(
        InputError, match=r"layer first .* its parameter 0 is 3×3, but in .*bad\.h5 it is 3×4"
    ):
        caffe.Net(prototxt, caffe.TEST).copy_from(tmp_path / "bad.h5")


def test_a_net_shares_the_weights_of_another(prototxt: Path) -> None:
    net, other = caffe.Net(prototxt, caffe.TRAIN), caffe.Net(prototxt, caffe.TEST)
    other.share_with(net)
    net.params["again"][1].data[...] = 5
    assert (other.params["again"][1].data == 5).all()
    assert outputs(other) == outputs(net)
