import os
from pathlib import Path, PurePosixPath

import pytest

from batchbrew.dataset.safe_names import SUFFIXES, safe_path, write_new
from batchbrew.errors import InputError


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("n01440764/n01440764_10026.JPEG", "n01440764/n01440764_10026.JPEG"),
        ("a b/ü 日本.jpg", "a b/ü 日本.jpg"),
        ("../../etc/passwd", "etc/passwd.jpg"),
        ("/abs/olute.jpg", "abs/olute.jpg"),
        ("a/./../b//c.jpg", "a/b/c.jpg"),
        ("", "image.jpg"),
        (" / ", "_/_.jpg"),
        ("..", "image.jpg"),
        ("is_a_jpeg.png", "is_a_jpeg.jpg"),
        ("v1.2", "v1.2.jpg"),
        ("line\nend\0\r\x7f\u2028.jpg", "line_end____.jpg"),
        (" blank /in front.jpg ", "blank/in front.jpg"),
        (".hidden/.jpg", "_hidden/_jpg.jpg"),
        ("\ufeffx.jpg", "_x.jpg"),
        ("/".join("abcdefghij") + ".jpg", "c/d/e/f/g/h/i/j.jpg"),
    ],
)
def test_names_become_safe_paths(name: str, path: str) -> None:
    assert str(safe_path(name, SUFFIXES["JPEG"])) == path


def test_long_names_are_cut_at_a_character_and_keep_their_end() -> None:
    path = safe_path("ü" * 300 + "/" + "x" * 600 + ".jpg", SUFFIXES["JPEG"])
    assert [len(os.fsencode(part)) for part in path.parts] == [200, 200]
    assert path.name.endswith("xx.jpg")


def test_bytes_that_are_no_text_stay() -> None:
    assert os.fsencode(safe_path(os.fsdecode(b"\xff\xfe.png"), SUFFIXES["PNG"])) == b"\xff\xfe.png"


def test_names_that_clash_get_the_number(tmp_path: Path) -> None:
    written = [
        str(write_new(tmp_path, PurePosixPath(name), number, b"%d" % number))
        for number, name in enumerate(["a/b.jpg", "a/b.jpg", "a", "a/b.jpg/c.jpg", "a/b~4.jpg", "a/b.jpg"])
    ]
    assert written == ["a/b.jpg", "a/b~1.jpg", "a~2", "c~3.jpg", "a/b~4.jpg", "a/b~5.jpg"]
    assert [(tmp_path / name).read_bytes() for name in written] == [b"%d" % number for number in range(6)]
    (tmp_path / "x~7.jpg").touch()
    (tmp_path / "x.jpg").touch()
    assert str(write_new(tmp_path, PurePosixPath("x.jpg"), 7, b"")) == "record~7~0.jpg"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.jpg cannot be written"):
        write_new(Path("/proc/none"), PurePosixPath("x.jpg"), 0, b"")
