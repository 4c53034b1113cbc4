from pathlib import Path

import pytest

from batchbrew.dataset.sources import Entry, open_list, read_list
from batchbrew.errors import InputError
from tests.dataset.sources.trees import make_files


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


def test_a_list_as_a_source(tmp_path: Path) -> None:
    make_files(tmp_path, {"a b.jpg": b"one"})
    source = open_list(write_list(tmp_path, "a b.jpg 4\ngone.jpg 5\n"), tmp_path, ["x"] * 6)
    assert list(source.entries) == [Entry("a b.jpg", 4), Entry("gone.jpg", 5)]
    assert (source.read(0), source.size(0), source.size(1)) == (b"one", 3, None)
    assert source.class_names == ["x"] * 6
    with pytest.raises(InputError, match=r"list\.txt is not a folder: name the one"):
        open_list(tmp_path / "list.txt", tmp_path / "list.txt")
