import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from numpy.typing import NDArray

from batchbrew.errors import InputError
from batchbrew.proto.binary import read_binary, write_binary
from batchbrew.proto.blobs import array_blob, blob_array
from batchbrew.proto.caffe_pb2 import BlobProto, Datum, LayerParameter, NetParameter, SolverState
from tests.conftest import RunCaffe

DEFINITION = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" } bias_filler { value: 0.5 } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
"""

SAVE_AND_LOAD = """
import json, sys
import caffe
definition, ours, theirs = sys.argv[1:]
net = caffe.Net(definition, caffe.TEST)
net.save(theirs)
saved = {name: [[list(b.shape), b.data.ravel().tolist()] for b in blobs] for name, blobs in net.params.items()}
net = caffe.Net(definition, caffe.TEST, weights=ours)
loaded = {name: [[list(b.shape), b.data.ravel().tolist()] for b in blobs] for name, blobs in net.params.items()}
print(json.dumps([saved, loaded]))
"""


def test_caffemodels_of_real_caffe_and_for_it(run_caffe: RunCaffe, tmp_path: Path) -> None:
    definition, ours, theirs = tmp_path / "net.prototxt", tmp_path / "ours", tmp_path / "theirs"
    definition.write_text(DEFINITION)
    rng = np.random.default_rng(1)
    weights: dict[str, list[NDArray[Any]]] = {
        "conv": [rng.normal(size=(4, 3, 3, 3)).astype(np.float32), rng.normal(size=4)],
        "bn": [np.full(4, 0.25), np.arange(4), np.full(1, 2)],
    }
    net = NetParameter(name="tiny")
    for layer, arrays in weights.items():
        net.layer.add(name=layer).blobs.extend(array_blob(array) for array in arrays)
    write_binary(ours, net)

    saved, loaded = run_caffe(SAVE_AND_LOAD, definition, ours, theirs)
    for layer, arrays in weights.items():
        for array, (shape, values) in zip(arrays, loaded[layer], strict=True):
            assert list(array.shape) == shape
            assert array.astype(np.float32).ravel().tolist() == values
    read = {layer.name: layer for layer in read_binary(theirs, NetParameter).layer}
    assert read["conv"].convolution_param.num_output == 4
    for name, blobs in saved.items():
        assert len(read[name].blobs) == len(blobs)
        for blob, (shape, values) in zip(read[name].blobs, blobs, strict=True):
            array = blob_array(blob)
            assert (list(array.shape), array.ravel().tolist()) == (shape, values)
            assert array.dtype == np.float32


def model() -> NetParameter:
    blobs = [array_blob(np.arange(5))]
    return NetParameter(name="tiny", layer=[LayerParameter(name="conv1", type="Convolution", blobs=blobs)])


def state() -> SolverState:
    return SolverState(iter=0, learned_net="a_iter_0.caffemodel", history=[array_blob(np.ones(3))])


@pytest.mark.parametrize("message", [model(), state(), array_blob([[1, 2]]), Datum(label=3)])
def test_written_and_read(message: Message, tmp_path: Path) -> None:
    path = tmp_path / "snapshots" / "m"
    write_binary(path, message)
    assert read_binary(str(path), type(message)) == message
    assert path.read_bytes() == message.SerializeToString()


REFUSED: list[tuple[bytes, type[Message], str]] = [
    (b"", NetParameter, "empty; a caffemodel is expected"),
    (b"", Datum, "empty; a binary Datum is expected"),
    (b"name: 'x'\nlayer { }\n", NetParameter, "text, a prototxt perhaps; a caffemodel is expected"),
    (
        b"\x89HDF\r\n\x1a\n\0\0",
        NetParameter,
        "an HDF5 file (Caffe writes the other kind with snapshot_format: BINARYPROTO); a caffemodel is expected",
    ),
    (b"\x1f\x8b\x08", NetParameter, "compressed with gzip; a caffemodel is expected"),
    (
        model().SerializeToString()[:-1],
        NetParameter,
        "damaged, cut short, or of another kind; a caffemodel is expected",
    ),
    (
        model().SerializeToString().replace(b"conv1", b"conv\xff"),
        NetParameter,
        "damaged or of another kind: a name in it is not UTF-8; a caffemodel is expected",
    ),
    (state().SerializeToString(), NetParameter, "a solverstate; a caffemodel is expected"),
    (model().SerializeToString(), SolverState, "a caffemodel; a solverstate is expected"),
    (model().SerializeToString(), BlobProto, "a caffemodel; a blob (binaryproto) is expected"),
    (array_blob([1]).SerializeToString(), SolverState, "a blob (binaryproto); a solverstate is expected"),
    (
        NetParameter(name="mine", input_dim=[3]).SerializeToString(),
        NetParameter,
        "a network without any layer ('mine'); a caffemodel is expected",
    ),
    (
        b"\xf8\x07\x01",  # an unknown field, 127
        NetParameter,
        "of another kind: it holds nothing that is known of this one; a caffemodel is expected",
    ),
    (
        b"\xa2\x06\x00\x12\x00",  # empty layers, new and V1
        NetParameter,
        "of another kind: it holds nothing that is known of this one; a caffemodel is expected",
    ),
    (
        b"\x0b" * 5000,  # groups in groups
        Datum,
        "text, a prototxt perhaps; a binary Datum is expected",
    ),
    (
        b"\x0b" * 5000 + b"\0",
        Datum,
        "damaged, cut short, or of another kind; a binary Datum is expected",
    ),
]


@pytest.mark.parametrize(("content", "message_class", "message"), REFUSED)
def test_refused_files(content: bytes, message_class: type[Message], message: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_binary(path, message_class)
    assert str(error.value) == f"{path} is {message}"


def test_random_bytes_are_no_caffemodel(tmp_path: Path) -> None:
    source = random.Random(5)
    path = tmp_path / "file"
    for _ in range(300):
        path.write_bytes(source.randbytes(source.randrange(1, 40)))
        with pytest.raises(InputError):
            read_binary(path, NetParameter)


def test_v1_models_are_models(tmp_path: Path) -> None:
    net = NetParameter()
    net.layers.add(name="conv1")
    write_binary(tmp_path / "old", net)
    assert read_binary(tmp_path / "old", NetParameter).layers[0].name == "conv1"


def test_required_fields(tmp_path: Path) -> None:
    net = NetParameter()
    net.layer.add().clip_param.min = 1
    path = tmp_path / "n"
    with pytest.raises(InputError) as error:
        write_binary(path, net)
    assert str(error.value) == f"{path} is not written: layer[0].clip_param.max must be given"
    path.write_bytes(net.SerializePartialToString())
    with pytest.raises(InputError) as error:
        read_binary(path, NetParameter)
    assert str(error.value) == f"{path} is incomplete: it holds no layer[0].clip_param.max"


def test_what_caffe_could_not_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchbrew.proto.binary.MAX_FILE_BYTES", 20)
    with pytest.raises(InputError) as error:
        write_binary(tmp_path / "n", model())
    size = len(model().SerializeToString())
    assert str(error.value) == (
        f"{tmp_path}/n is not written: a caffemodel has at most 20 bytes, this one {size}"
    )
    assert not list(tmp_path.iterdir())
