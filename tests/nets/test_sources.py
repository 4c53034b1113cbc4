"""What lies at a path: LMDB or list, how many images, and labels that would not fit."""

import math
from pathlib import Path

import lmdb
import pytest

from batchbrew.errors import InputError
from batchbrew.nets.inputs import SourceKind
from batchbrew.nets.sources import check_mean_file, count_images, source_kind
from batchbrew.proto import caffe_pb2 as pb


def make_lmdb(path: Path, records: int) -> Path:
    with lmdb.open(str(path), map_size=2**20) as database, database.begin(write=True) as transaction:
        for number in range(records):
            transaction.put(f"{number:08d}".encode(), b"datum")
    return path


@pytest.mark.parametrize(
    ("name", "named", "kind"),
    [
        ("data/train_lmdb", None, "lmdb"),
        ("data/train_lmdb/", None, "lmdb"),
        ("train.lmdb", None, "lmdb"),
        ("train.txt", None, "list"),
        ("train.lst", None, "list"),
        ("train", "lmdb", "lmdb"),
        ("train", "list", "list"),
        ("train_lmdb", "list", "list"),  # nothing is there: who says it knows
    ],
)
def test_a_path_to_come_is_told_by_its_name(name: str, named: SourceKind | None, kind: SourceKind) -> None:
    assert source_kind(f"to/come/{name}", named) == kind


def test_a_path_to_come_that_tells_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"to/come does not exist, .*: add --source-type"):
        source_kind("to/come", None)


def test_what_is_there_counts_whatever_its_name(tmp_path: Path) -> None:
    folder = make_lmdb(tmp_path / "train.txt", 1)
    file = tmp_path / "train_lmdb"
    file.write_text("a.jpg 0\n")
    assert source_kind(str(folder), None) == "lmdb"
    assert source_kind(str(file), None) == "list"
    with pytest.raises(
        InputError, match=r"train_lmdb is an image list, and not, as --source-type says, an LMDB"
    ):
        source_kind(str(file), "lmdb")


def test_other_folders_and_the_inside_of_an_lmdb_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder without a data\.mdb"):
        source_kind(str(tmp_path), None)
    folder = make_lmdb(tmp_path / "x_lmdb", 1)
    with pytest.raises(InputError, match=f"name its folder, {folder}$"):
        source_kind(str(folder / "data.mdb"), None)


def test_records_of_an_lmdb_are_counted(tmp_path: Path) -> None:
    assert count_images(str(make_lmdb(tmp_path / "db", 13)), "lmdb", 2) == 13


def test_an_lmdb_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="cannot be read as an LMDB"):
        count_images(str(tmp_path), "lmdb", 2)


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("")
    for path, kind in ((tmp_path / "list.txt", "list"), (make_lmdb(tmp_path / "db", 0), "lmdb")):
        with pytest.raises(InputError, match="holds no images"):
            count_images(str(path), kind, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a.jpg 0\nb c.jpg 2\n", "a.jpg 0\r\nb.jpg 2", "ä.jpg 0\nb.jpg 2\n"])
def test_lines_of_a_list_are_counted(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text, newline="")
    assert count_images(str(tmp_path / "list.txt"), "list", 3) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg 0\nb.jpg 3\n", r"line 2: class 3, but of --classes 3 the last one is 2"),
        ("a.jpg 0\nb.jpg -1\n", r"line 2: 'b.jpg -1' is not a path, a space and a class number"),
        ("a.jpg 0\n\nb.jpg 1\n", r"line 2: '' is not"),
        ("a.jpg\t0\n", r"line 1: 'a.jpg\\t0' is not"),
        ("a.jpg\n", r"line 1: 'a.jpg' is not"),
        (" 1\n", r"line 1: ' 1' is not"),
    ],
)
def test_a_line_that_caffe_would_misread_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        count_images(str(tmp_path / "list.txt"), "list", 3)


def mean_image(path: Path, *shape: int, old: bool = False) -> str:
    blob = pb.BlobProto(data=[0.5] * math.prod(shape))
    if old:
        blob.num, blob.channels, blob.height, blob.width = shape
    else:
        blob.shape.dim.extend(shape)
    path.write_bytes(blob.SerializeToString())
    return str(path)


@pytest.mark.parametrize(("shape", "old"), [((1, 3, 8, 9), True), ((1, 3, 8, 8), False), ((3, 9, 8), False)])
def test_a_mean_image_that_holds_the_crop(tmp_path: Path, shape: tuple[int, ...], old: bool) -> None:
    path = mean_image(tmp_path / "mean", *shape, old=old)
    assert check_mean_file(path, 8)
    with pytest.raises(InputError, match="at least --crop 9 pixels a side"):
        check_mean_file(path, 9)
    assert not check_mean_file(str(tmp_path / "missing"), 8)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (8, 8), ()])
def test_what_is_no_mean_image_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = mean_image(tmp_path / "mean", *shape)
    shown = "×".join(map(str, shape))
    with pytest.raises(InputError, match=rf"mean has the shape \({shown}\): a mean image of 3 channels"):
        check_mean_file(path, 8)
