import os
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto.files import is_text, known_format, read_file


def test_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc\0")
    assert read_file(path, "a solver") == b"abc\0"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path, pipe, large = tmp_path / "gone", tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)  # else opening it would wait for one
    with large.open("wb") as file:
        file.truncate(2**31)  # a hole: takes no room
    wrong = {
        path: f"{path} is not there: a solver is expected",
        tmp_path: f"{tmp_path} is a folder: a solver is expected",
        pipe: f"{pipe} is not a file: a solver is expected",
        large: f"{large} has 2,147,483,648 bytes: Caffe reads no file over 2,147,483,647 bytes",
        large / "x": f"{large}/x cannot be read: Not a directory",
    }
    for file_path, message in wrong.items():
        with pytest.raises(InputError) as error:
            read_file(file_path, "a solver")
        assert str(error.value) == message
    os.close(writer)


def test_known_formats() -> None:
    assert known_format(b"PK\x03\x04...") == "a zip archive (PyTorch saves its checkpoints so)"
    assert known_format(b"\x0a\x04name") is None
    assert known_format(b"") is None


def test_text_is_told_from_binary() -> None:
    assert is_text("name: 'Straße'\r\n\t# \x01 in a comment\n".encode())
    assert is_text("# 网络 in GBK\nname: 'a'".encode("gbk"))
    assert not is_text(b"\x0a\x04name\xa2\x06\x00")
