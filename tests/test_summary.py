"""`batchbrew summary`, from options to what is printed."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from batchbrew.errors import InputError
from batchbrew.nets.inputs import DataSource
from batchbrew.nets.phases import train_val_net
from batchbrew.nets.resnet import resnet
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import write_prototxt
from batchbrew.summary import read_shapes, read_size, summary
from tests.dataset.lmdbs import raw_datum, write_lmdb


@pytest.fixture
def net(tmp_path: Path) -> Path:
    source = DataSource(str(tmp_path / "no_lmdb"), "lmdb", 16)
    path = tmp_path / "train_val.prototxt"
    write_prototxt(
        path, train_val_net("resnet50", resnet(50, 1000), train=source, val=source, crop=224, classes=1000)
    )
    return path


def printed(path: Path, **options: Any) -> str:
    """What the command prints to a pipe as text."""
    out = io.StringIO()
    settings: dict[str, Any] = {"phase": "TRAIN", "batch": None, "size": None, "shapes": [], "form": "text"}
    summary(path, **{**settings, **options}, console=Console(file=out))
    return out.getvalue()


def as_json(capsys: pytest.CaptureFixture[str], path: Path, **options: Any) -> Any:
    printed(path, form="json", **options)
    return json.loads(capsys.readouterr().out)


def test_table_fits_100_columns(net: Path) -> None:
    lines = printed(net).splitlines()
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("phase "))]
    assert max(map(len, table)) == 100
    assert any(line.split() == ["conv1", "Convolution", "16×64×112×112", "9,472", "118.014", "6.125", "3.062"]
               for line in lines)  # fmt: skip
    assert "25,549,422 parameters and 45,496 BatchNorm statistics: 97.64 MiB" in lines
    assert "4,089,184,256 multiply-adds an image" in lines
    assert "its source is not there; its images are taken to be in colour" in lines[-1]


def test_phase_batch_and_size(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = as_json(capsys, net, phase="test", batch=2, size="448,224")
    assert (report["phase"], report["batch"]) == ("TEST", 2)
    assert report["layers"][0]["tops"] == {"data": [2, 3, 448, 224], "label": [2]}
    assert [layer["name"] for layer in report["layers"][-3:]] == ["loss", "accuracy", "accuracy/top5"]
    # all but the classifier's 2,048,000 multiply-adds are of convolutions, and those double with the image
    assert report["per_image"]["multiply_adds"] == 2 * (4_089_184_256 - 2_048_000) + 2_048_000


def test_markdown(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(net, form="markdown")
    assert capsys.readouterr().out.startswith("## resnet50\n\n| layer | type |")


def test_images_of_an_lmdb_tell_their_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lmdb(tmp_path / "db", [raw_datum(1, 9, 7, bytes(63))])
    path = tmp_path / "net.prototxt"
    data = pb.DataParameter(source=str(tmp_path / "db"), batch_size=4, backend=pb.DataParameter.LMDB)
    write_prototxt(
        path, pb.NetParameter(layer=[pb.LayerParameter(name="d", type="Data", top=["d"], data_param=data)])
    )
    assert as_json(capsys, path)["layers"][0]["tops"] == {"d": [4, 1, 9, 7]}


def test_shapes_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.prototxt"
    write_prototxt(path, pb.NetParameter(layer=[pb.LayerParameter(name="p", type="Python", top=["d"])]))
    assert as_json(capsys, path, shapes=["d=2,3"])["layers"][0]["tops"] == {"d": [2, 3]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "html"}, r"--format html is not known: it is text, markdown, json"),
        ({"phase": "VAL"}, r"--phase VAL is not known: it is TRAIN or TEST"),
        ({"batch": 0}, r"--batch must be from 1 to 1,048,576, not 0"),
        ({"size": "0,5"}, r"--size 0,5 is not H,W"),
        ({"shapes": ["d"]}, r"--shape d is not BLOB=N,C,H,W"),
        ({"size": "1"}, r"train_val.prototxt: the output of layer conv1_pool would be 16×64×0×0"),
    ],
)
def test_refused(net: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        printed(net, **options)


def test_phase_without_layers(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    only = pb.LayerParameter(name="x", type="Input", top=["x"], include=[pb.NetStateRule(phase=pb.TEST)])
    write_prototxt(path, pb.NetParameter(layer=[only]))
    with pytest.raises(InputError, match=r"has no layers in phase TRAIN: try --phase TEST"):
        printed(path)


@pytest.mark.parametrize(
    ("text", "size"),
    [("224", (224, 224)), ("224,256", (224, 256)), ("224x256", (224, 256)), (" 1 , 2 ", (1, 2))],
)
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "1,2,3", "a", "65536", "-1", "1,,2", "224,"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"is not H,W"):
        read_size(text)


def test_shapes_by_blob() -> None:
    assert read_shapes(["data=1,2,3", "a=b=4"]) == {"data": (1, 2, 3), "a=b": (4,)}
    for text in ("data", "data=", "=1", "data=0", "data=1,x", "data=9999999999"):
        with pytest.raises(InputError, match=r"is not BLOB=N,C,H,W"):
            read_shapes([text])
