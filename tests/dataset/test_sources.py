import random
from pathlib import Path

import pytest

from batchbrew.dataset.sources import Entry, read_list, scan_folder, shuffled
from batchbrew.errors import InputError


def write_list(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_list_in_caffes_format(tmp_path: Path) -> None:
    text = "\ufeffa/1.jpg 0\r\n\n   \nname with blanks.jpg  7 \n"
    text += "kätzchen/ß.png\t2147483647\n a 1.jpg 03\n/abs.jpg 1"
    assert read_list(write_list(tmp_path, text), tmp_path) == [
        Entry("a/1.jpg", 0),
        Entry("name with blanks.jpg", 7),
        Entry("kätzchen/ß.png", 2**31 - 1),
        Entry(" a 1.jpg", 3),
        Entry("/abs.jpg", 1),
    ]


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    entry = read_list(write_list(tmp_path, b"\xe4.jpg 1\n"), tmp_path)[0]
    (tmp_path / entry.path).write_text("x")
    assert [path.name.encode("utf-8", "surrogateescape") for path in tmp_path.glob("*.jpg")] == [b"\xe4.jpg"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("picture.jpg", "has no label"),
        (" 5", "has no label"),
        ("b.jpg cat", "'cat' for a label"),
        ("b.jpg 1.0", "'1.0' for a label"),
        ("b.jpg ²", "'²' for a label"),
        ("b.jpg -1", "label -1: labels are 0 to 2147483647"),
        ("b.jpg 2147483648", "label 2147483648: labels are"),
        ("b.jpg " + "9" * 5000, "999: labels are 0 to"),
        ("b\0.jpg 1", "zero byte"),
        ("./x//../a.jpg 4", "has label 4, but the same file has label 3 in line 1"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = write_list(tmp_path, f"a.jpg 3\n\n{line}\n")
    with pytest.raises(InputError) as caught:
        read_list(path, tmp_path)
    assert complaint in str(caught.value)
    assert f"{path}, line 3: {line[:300]!r}" in str(caught.value)


def test_same_image_twice_with_one_label_is_kept(tmp_path: Path) -> None:
    assert len(read_list(write_list(tmp_path, "a.jpg 3\na.jpg 3\n"), tmp_path)) == 2


def test_missing_and_empty_lists(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.txt cannot be read: No such file"):
        read_list(tmp_path / "absent.txt", tmp_path)
    with pytest.raises(InputError, match="lists no image"):
        read_list(write_list(tmp_path, "\n\n"), tmp_path)


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_folder_per_class(tmp_path: Path) -> None:
    make(
        tmp_path,
        "zebra/1.JPG",
        "ant/b.jpeg",
        "ant/deep/er/a.WebP",
        "ant/notes.txt",
        "ant/.hidden.jpg",
        "Top.png",
    )
    make(tmp_path, "ant/README", ".git/x.jpg", "ant/.cache/y.jpg")
    (tmp_path / "empty").mkdir()
    scan = scan_folder(tmp_path)
    assert scan.class_names == ["ant", "empty", "zebra"]
    assert scan.entries == [Entry("ant/b.jpeg", 0), Entry("ant/deep/er/a.WebP", 0), Entry("zebra/1.JPG", 2)]
    assert scan.ignored == {".txt": 1, ".jpg": 1, "": 1, ".png": 1}
    assert scan.empty_classes == ["empty"]


@pytest.mark.parametrize(
    "extension", ["jpg", "jpeg", "png", "bmp", "ppm", "pgm", "tif", "tiff", "webp", "TIFF"]
)
def test_image_extensions(tmp_path: Path, extension: str) -> None:
    make(tmp_path, f"a/x.{extension}")
    assert len(scan_folder(tmp_path).entries) == 1


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    make(tmp_path, "store/1.jpg")
    make(tmp_path, "set/b/2.jpg")
    (tmp_path / "set" / "a").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "b" / "loop").symlink_to(tmp_path / "set" / "b")
    assert scan_folder(tmp_path / "set").entries == [Entry("a/1.jpg", 0), Entry("b/2.jpg", 1)]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent cannot be read"):
        scan_folder(tmp_path / "absent")
    make(tmp_path, "1.jpg")
    with pytest.raises(InputError, match="has no subfolders"):
        scan_folder(tmp_path)
    make(tmp_path, "class/x.txt")
    with pytest.raises(InputError, match="no image in any"):
        scan_folder(tmp_path)


def test_shuffle_is_a_known_permutation() -> None:
    entries = [Entry(str(number), number) for number in range(10)]
    order = [entry.label for entry in shuffled(entries, 0)]
    # Drawn by hand: swap place 9 with int(0.8444 * 10) = 8, place 8 with int(0.7580 * 9) = 6, ...
    assert [round(random.Random(0).random(), 4)] == [0.8444]
    assert order == [9, 4, 0, 5, 2, 7, 1, 3, 6, 8]
    assert [entry.label for entry in entries] == list(range(10))
    assert shuffled(entries, 1) != shuffled(entries, 0)
    with pytest.raises(InputError, match="seed -1"):
        shuffled(entries, -1)
