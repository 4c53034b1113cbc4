import hashlib
import os
from pathlib import Path

import pytest

from batchbrew.dataset.images import ImageError
from batchbrew.dataset.sources import Entry, FilesSource, Source
from tests.dataset.sources.trees import file_name, make_files

NAMES = [
    "plain.jpg",
    "with blanks  and\ttab.jpg",
    file_name(b"\xff\xfe.jpg"),
    "d/" * 50 + "deep.jpg",
    "ß" * 120 + ".jpg",
]


def test_files_of_odd_names_are_read(tmp_path: Path) -> None:
    make_files(tmp_path, {name: os.fsencode(name) for name in NAMES})
    source: Source = FilesSource([Entry(name, 1) for name in NAMES], tmp_path)
    assert [source.read(number) for number in range(5)] == [os.fsencode(name) for name in NAMES]
    assert [source.size(number) for number in range(5)] == [len(os.fsencode(name)) for name in NAMES]
    assert source.name == f"files below {tmp_path}"
    source.close()


def test_what_cannot_be_read_has_its_reason(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    entries = [Entry(name, 0) for name in ("gone.jpg", "folder.jpg", "pipe.jpg", "a\0b.jpg")]
    source = FilesSource(entries, tmp_path)
    for number, reason in enumerate(("No such file", "is not a file", "is not a file", "null byte")):
        with pytest.raises(ImageError, match=reason):
            source.read(number)
        assert source.size(number) is None


def test_the_digest_is_of_paths_labels_and_sizes(tmp_path: Path) -> None:
    make_files(tmp_path, {"a.jpg": b"12345", NAMES[2]: b"123"})
    entries = [Entry("a.jpg", 3), Entry(NAMES[2], 0), Entry("gone.jpg", 1)]
    digest = FilesSource(entries, tmp_path).digest()
    assert digest == hashlib.sha256(b"3 5 a.jpg\x000 3 \xff\xfe.jpg\x001 -1 gone.jpg\0").hexdigest()
    others = [entries[::-1], entries[:2], [Entry("a.jpg", 4), *entries[1:]]]
    assert digest not in [FilesSource(other, tmp_path).digest() for other in others]
    (tmp_path / "a.jpg").write_bytes(b"1234567")
    assert FilesSource(entries, tmp_path).digest() != digest
