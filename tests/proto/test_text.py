from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from batchbrew.proto.text import read_prototxt, write_prototxt


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "models" / "net.prototxt"
    net = NetParameter(name="Grüße", layer=[LayerParameter(name="a"), LayerParameter(name="b")])
    write_prototxt(path, net, header="made by hand\n\n  kept as it is")
    assert path.read_text(encoding="utf-8") == (
        '# made by hand\n#\n#   kept as it is\n\nname: "Grüße"\nlayer {\n  name: "a"\n}\nlayer {\n  name: "b"\n}\n'
    )
    assert read_prototxt(path, NetParameter) == net
    write_prototxt(str(path), NetParameter(name="n"))
    assert path.read_bytes() == b'name: "n"\n'
    assert [entry.name for entry in path.parent.iterdir()] == ["net.prototxt"]


def test_comments_may_be_in_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes("# Größe\nname: 'n' # 网络\n".encode("latin-1", "ignore") + "# 网络\n".encode("gbk"))
    assert read_prototxt(path, NetParameter).name == "n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"name: 'a'\nlayer { botom: 'b' }",
            ':2:9: LayerParameter has no field "botom": did you mean "bottom"?',
        ),
        ("name: 'Größe'".encode("latin-1"), ":1:7: the text of name is not UTF-8"),
        (
            "name: 'a'".encode("utf-16"),
            " is text in UTF-16: save it as UTF-8; a prototxt (text) is expected",
        ),
        (
            NetParameter(layer=[LayerParameter(name="a")]).SerializeToString(),
            " is a binary file, a caffemodel perhaps; a prototxt (text) is expected",
        ),
        (
            b"\x89HDF\r\n\x1a\n\0\0",
            " is an HDF5 file (Caffe writes the other kind with snapshot_format: BINARYPROTO);"
            " a prototxt (text) is expected",
        ),
        (
            b"net: 'x'\nbase_lr: 0.1",
            ':1:1: NetParameter has no field "net": this is a solver, a network is expected',
        ),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_prototxt(path, NetParameter)
    assert str(error.value) == f"{path}{message}"


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_prototxt(tmp_path / "gone", SolverParameter)
    assert str(error.value) == f"{tmp_path}/gone is not there: a prototxt (text) is expected"
    with pytest.raises(InputError) as error:
        read_prototxt(tmp_path, SolverParameter)
    assert str(error.value) == f"{tmp_path} is a folder: a prototxt (text) is expected"


def test_an_incomplete_message_is_not_written(tmp_path: Path) -> None:
    net = NetParameter()
    net.layer.add().clip_param.max = 1
    with pytest.raises(InputError) as error:
        write_prototxt(tmp_path / "n", net)
    assert str(error.value) == f"{tmp_path}/n is not written: layer[0].clip_param.min must be given"
    assert not list(tmp_path.iterdir())
