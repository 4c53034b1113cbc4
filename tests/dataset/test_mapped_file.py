"""Pieces of mapped files, also of those that are not any more what they were."""

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchbrew.dataset import mapped_file
from batchbrew.dataset.lmdb_cursor import LmdbCursor
from batchbrew.dataset.lmdb_file import LmdbFile
from batchbrew.dataset.mapped_file import MappedFile
from batchbrew.dataset.reader import LmdbReader
from batchbrew.errors import InputError
from tests.dataset.lmdbs import write_lmdb

CONTENT = bytes(range(256)) * 100  # six pages and a quarter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    return tmp_path / "file"


def mapped(path: Path) -> MappedFile:
    handle = os.open(path, os.O_RDONLY)
    try:
        return MappedFile(handle)
    finally:
        os.close(handle)


def test_pieces_anywhere(file: Path) -> None:
    whole = mapped(file)
    for offset, length in ((0, 1), (0, len(CONTENT)), (4095, 2), (4096, 4096), (len(CONTENT) - 1, 1), (7, 0)):
        piece = whole.piece(offset, length)
        assert piece == CONTENT[offset : offset + length]
        assert piece.readonly


def test_a_file_that_was_cut_is_an_error_and_no_crash(file: Path) -> None:
    program = (
        "import os, sys\n"
        "from batchbrew.dataset.mapped_file import MappedFile\n"
        "whole = MappedFile(os.open(sys.argv[1], os.O_RDONLY))\n"
        "os.truncate(sys.argv[1], 4096)\n"
        "print(len(whole.piece(0, 4096)))\n"
        "try:\n"
        "    whole.piece(4000, 4096)\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["4096", str(errno.EIO)]), done.stderr


def test_a_data_set_that_was_cut_while_it_is_open(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", [bytes([number]) * 9000 for number in range(20)])
    with LmdbReader(path) as reader:
        assert reader.view(19) == bytes([19]) * 9000
        os.truncate(path / "data.mdb", 12_288)
        with pytest.raises(InputError, match=rf"^{path} (cannot be read|is damaged)"):
            for number in range(20):
                reader.view(number)


def test_an_empty_file_cannot_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="empty"):
        mapped(tmp_path / "empty")


def test_what_was_read_outlives_the_reader(tmp_path: Path) -> None:
    values = [bytes([number]) * size for number, size in enumerate((9000, 10, 5000))]
    with LmdbReader(write_lmdb(tmp_path / "db", values)) as reader:
        views = [reader.view(number) for number in range(3)]
    assert views == values
    assert all(view.readonly for view in views)


def test_kernels_that_cannot_bring_pages_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux before 5.14: values are read into memory of their own."""
    values = [bytes([number]) * size for number, size in enumerate((9000, 10, 5000))]
    path = write_lmdb(tmp_path / "db", values)

    class Old:
        @staticmethod
        def madvise(*arguments: object) -> int:
            ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(mapped_file, "_libc", Old)
    with pytest.raises(OSError, match="Invalid argument"):
        mapped(path / "data.mdb")
    file = LmdbFile(path / "data.mdb")
    assert [value for _, value in LmdbCursor(file)] == values


def test_an_interrupted_call_is_made_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mapped(file)
    answers = [(-1, errno.EINTR), (-1, errno.EAGAIN), (0, 0)]

    class Busy:
        @staticmethod
        def madvise(*arguments: object) -> int:
            answer, code = answers.pop(0)
            ctypes.set_errno(code)
            return answer

    monkeypatch.setattr(mapped_file, "_libc", Busy)
    assert whole.piece(5000, 10) == CONTENT[5000:5010]
    assert not answers
