from pathlib import Path

import cv2
import numpy as np
import pytest

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.exporting import ExportOptions, export
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.sources import Entry, FilesSource, open_list
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from tests.dataset.lmdbs import change, raw_datum, write_lmdb, write_records
from tests.dataset.pictures import encoded, picture, write_pictures


def content(path: Path) -> list[tuple[bytes, bytes]]:
    with LmdbReader(path) as reader:
        return [(bytes(key), bytes(value)) for key, value in reader.items()]


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def jpeg_record(data: bytes, label: int = 0) -> caffe_pb2.Datum:
    return caffe_pb2.Datum(data=data, encoded=True, label=label)


def test_what_was_built_can_be_built_again(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    names = [f"a b/{name}" for name in write_pictures(tmp_path / "a b", 5)]
    source = FilesSource([Entry(name, 7 * number % 3) for number, name in enumerate(names)], tmp_path)
    options = ImageOptions(side=32)
    build_lmdb(source, tmp_path / "db", BuildOptions(options, seed=2))
    done: list[tuple[int, int, int]] = []
    assert export(tmp_path / "db", tmp_path / "out", progress=lambda *call: done.append(call)) == (5, 0)
    assert done == [(number, 5, 0) for number in range(1, 6)]
    stored = files(tmp_path / "out" / "images")
    assert sorted(stored) == sorted(names)
    again = open_list(tmp_path / "out" / "list.txt", tmp_path / "out" / "images")
    build_lmdb(again, tmp_path / "again", BuildOptions(options, seed=None))
    assert content(tmp_path / "again") == content(tmp_path / "db")


def test_raw_pixels_become_png_and_all_can_become_png_or_jpeg(tmp_path: Path) -> None:
    colour, grey = picture(20, 10), picture(20, 10)[:, :, :1]
    jpeg = encoded(".jpg", picture(16, 8))
    db = write_lmdb(
        tmp_path / "db",
        [
            raw_datum(3, 10, 20, colour.transpose(2, 0, 1).tobytes(), label=4),
            raw_datum(1, 10, 20, grey.tobytes(), label=5),
            jpeg_record(jpeg, 6),
        ],
    )
    assert export(db, tmp_path / "original").images == 3
    stored = files(tmp_path / "original")
    assert sorted(stored) == ["images/00000000.png", "images/00000001.png", "images/00000002.jpg", "list.txt"]
    assert stored["images/00000002.jpg"] == jpeg
    assert stored["list.txt"] == b"00000000.png 4\n00000001.png 5\n00000002.jpg 6\n"
    read = cv2.imread(str(tmp_path / "original" / "images" / "00000001.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(np.asarray(read), grey[:, :, 0])
    export(db, tmp_path / "png", ExportOptions(form="png"))
    read = cv2.imread(str(tmp_path / "png" / "images" / "00000000.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(np.asarray(read), colour)
    assert sorted(files(tmp_path / "png" / "images")) == [f"{number:08}.png" for number in range(3)]
    export(db, tmp_path / "jpg", ExportOptions(form="jpg", quality=20))
    stored = files(tmp_path / "jpg" / "images")
    assert stored["00000002.jpg"] == jpeg
    assert stored["00000000.jpg"] == encoded(".jpg", colour, cv2.IMWRITE_JPEG_QUALITY, 20)


def test_hostile_names_stay_inside(tmp_path: Path) -> None:
    data = encoded(".jpg", picture(8, 8))
    keys = [
        b"00000000_../../../escape.jpg", b"00000001_/abs.jpg", b"00000002_nul\0\nline.jpg", b"00000003_a.jpg",
        b"00000004_a.jpg", b"00000005_a.jpg/b.jpg", b"00000006_" + b"x" * 490 + b".jpg", b"00000007_\xff\xfe.jpg",
    ]  # fmt: skip
    db = write_records(tmp_path / "db", [(key, jpeg_record(data, number)) for number, key in enumerate(keys)])
    done = export(db, tmp_path / "deep" / "out")
    assert (done.images, done.renamed) == (8, 6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    again = open_list(tmp_path / "deep" / "out" / "list.txt", tmp_path / "deep" / "out" / "images")
    assert [entry.label for entry in again.entries] == list(range(8))
    assert [again.read(number) for number in range(8)] == [data] * 8
    assert [again.entries[number].path for number in (0, 1, 3, 4, 5)] == [
        "escape.jpg", "abs.jpg", "a.jpg", "a~4.jpg", "b~5.jpg",
    ]  # fmt: skip


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 4)
    source = FilesSource(
        [Entry(name, number) for number, name in enumerate(names)], tmp_path, ["ant", "a/b", "a_b", ".."]
    )
    build_lmdb(source, tmp_path / "db", BuildOptions(ImageOptions(side=32), seed=None))
    export(tmp_path / "db", tmp_path / "out", ExportOptions(by_class=True))
    assert (
        tmp_path / "out" / "list.txt"
    ).read_text() == "ant/0.jpg 0\na_b~1/1.jpg 1\na_b~2/2.jpg 2\n_./3.jpg 3\n"
    assert (tmp_path / "out" / "classes.txt").read_text() == "ant\na/b\na_b\n..\n"
    nameless = write_lmdb(tmp_path / "nameless", [jpeg_record(encoded(".jpg", picture(8, 8)), 12)])
    export(nameless, tmp_path / "out2", ExportOptions(by_class=True))
    assert (tmp_path / "out2" / "list.txt").read_text() == "0012/00000000.jpg 12\n"


def test_some_of_them_evenly_spread(tmp_path: Path) -> None:
    db = write_lmdb(tmp_path / "db", [raw_datum(1, 1, 1, b"x", label=number) for number in range(10)])
    assert export(db, tmp_path / "out", ExportOptions(count=4)).images == 4
    assert (tmp_path / "out" / "list.txt").read_text().split()[1::2] == ["0", "2", "5", "7"]
    assert export(db, tmp_path / "all", ExportOptions(count=99)).images == 10


def test_what_cannot_be_a_file_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    floats = caffe_pb2.Datum(channels=1, height=1, width=1, float_data=[0.5])
    for datum, complaint in (
        (floats, "record 00000000 has 1 channels of float32"),
        (raw_datum(5, 1, 1, b"12345"), "has 5 channels"),
        (raw_datum(1, 1, 1, b"1", label=-2), "negative label -2"),
        (jpeg_record(b"no picture"), "is not a JPEG"),
    ):
        db = write_lmdb(tmp_path / "db", [datum])
        with pytest.raises(InputError, match=complaint):
            export(db, tmp_path / "out")
        change(db, b"00000000", None)
    alpha = encoded(".png", np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(InputError, match="transparency"):
        export(write_lmdb(tmp_path / "db", [jpeg_record(alpha)]), tmp_path / "out", ExportOptions(form="jpg"))
    assert [path.name for path in tmp_path.iterdir()] == ["db"]
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists already"):
        export(tmp_path / "db", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"form": "gif"}, "format 'gif'"), ({"quality": 0}, "quality 0"), ({"count": 0}, "--count 0")],
)
def test_options_that_cannot_be(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        ExportOptions(**options)  # type: ignore[arg-type]
