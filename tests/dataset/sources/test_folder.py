from pathlib import Path

import pytest

from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.sources import Entry, open_archive, open_folder, scan_folder
from batchbrew.errors import InputError
from tests.dataset.sources.trees import TREE, make_files, tar_of, write

LOOSE = Unreadable("Top.png", -1, "is in no class: it lies beside the folders of the classes")


def test_folder_per_class(tmp_path: Path) -> None:
    make_files(tmp_path, TREE)
    (tmp_path / "empty").mkdir()
    scan = scan_folder(tmp_path)
    assert scan.class_names == ["ant", "empty", "zebra"]
    assert scan.entries == [Entry("ant/b.jpeg", 0), Entry("ant/deep/er/a.WebP", 0), Entry("zebra/1.JPG", 2)]
    assert scan.ignored == {".txt": 1, ".jpg": 1, "": 1}
    assert scan.empty_classes == ["empty"]
    assert scan.refused == [LOOSE]


@pytest.mark.parametrize(
    "extension",
    ["jpg", "jpeg", "png", "bmp", "ppm", "pgm", "tif", "tiff", "webp", "TIFF", "gif", "jpe", "jfif"],
)
def test_image_extensions(tmp_path: Path, extension: str) -> None:
    make_files(tmp_path, [f"a/x.{extension}"])
    assert len(scan_folder(tmp_path).entries) == 1


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    make_files(tmp_path, ["store/1.jpg"])
    make_files(tmp_path, ["set/b/2.jpg"])
    (tmp_path / "set" / "a").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "b" / "loop").symlink_to(tmp_path / "set" / "b")
    assert scan_folder(tmp_path / "set").entries == [Entry("a/1.jpg", 0), Entry("b/2.jpg", 1)]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent cannot be read"):
        scan_folder(tmp_path / "absent")
    make_files(tmp_path, ["1.jpg"])
    with pytest.raises(InputError, match="has no subfolders"):
        scan_folder(tmp_path)
    make_files(tmp_path, ["class/x.txt"])
    with pytest.raises(InputError, match="no image in any"):
        scan_folder(tmp_path)


def test_a_folder_as_a_source(tmp_path: Path) -> None:
    make_files(tmp_path, TREE)
    (tmp_path / "empty").mkdir()
    source = open_folder(tmp_path)
    assert list(source.entries) == scan_folder(tmp_path).entries
    assert source.class_names == ["ant", "empty", "zebra"]
    assert [source.read(number) for number in range(3)] == [b"in ant", b"in ant, deep", b"in zebra"]
    assert source.notes == [
        "ignored 3 files that are hidden or no images by name: 1 without extension, 1 .jpg, 1 .txt",
        "class empty (label 1) has no image",
    ]


def test_many_empty_classes_are_some_lines(tmp_path: Path) -> None:
    make_files(tmp_path, ["full/1.jpg"])
    for number in range(12):
        (tmp_path / f"empty{number:02}").mkdir()
    notes = open_folder(tmp_path).notes
    assert (len(notes), notes[-1]) == (11, "2 more classes have no image")


def test_lmdbs_and_builds_of_them_are_no_classes(tmp_path: Path) -> None:
    make_files(
        tmp_path,
        ["cat/1.jpg", "dog/data.mdb.jpg", "dog/x.partial/lock", "p.partial/1.jpg", "äpfel/1.jpg", "p.jpg"],
    )
    make_files(tmp_path, ["db/data.mdb", "db/sheet.png", "db.partial/lock", "db.partial/lmdb/data.mdb"])
    make_files(tmp_path, ["set/shard-00000-of-00002/data.mdb", "set2/shard-00000-of-00001.partial/plan.json"])
    source = open_folder(tmp_path)
    assert source.class_names == ["cat", "dog", "p.partial", "äpfel"]
    assert [entry.label for entry in source.entries] == [0, 1, 2, 3]
    databases = ["db", "db.partial", "set", "set2"]
    notes = [f"{name} is an LMDB, or the build of one, and no class" for name in databases]
    assert source.notes[-4:] == notes
    refused = ["p.jpg is in no class: it lies beside", "db/sheet.png is in no class: db is an LMDB, or"]
    for bad, start in zip(source.refused, refused, strict=True):
        assert str(bad).startswith(start)
    names = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    names += [f"{name}/" for name in databases]
    for prefix in ("", "./around/"):
        archive = open_archive(
            write(
                tmp_path.with_suffix(".tar"),
                tar_of([(prefix + name, b"") for name in names if not prefix or "/" in name]),
            )
        )
        assert archive.class_names == source.class_names
        assert archive.notes[-4:] == notes
        assert prefix or sorted(archive.refused) == sorted(source.refused)
        assert prefix or list(archive.entries) == list(source.entries)
        archive.close()
    with pytest.raises(InputError, match="has 1 subfolders and no image in any"):
        open_folder(tmp_path / "set")
