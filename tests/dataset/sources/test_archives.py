import os
import tarfile
import threading
from pathlib import Path

import pytest

from batchbrew.dataset.images import ImageError
from batchbrew.dataset.sources import Entry, open_archive, open_folder
from batchbrew.dataset.sources.tar_index import clean_path
from batchbrew.errors import InputError
from tests.dataset.sources.trees import END, TREE, file_name, make_files, member, pax, tar_of, write

ODD_NAMES = {f"ant/{name}.jpg": name.encode() for name in ("a b", "ß", "x" * 150)}


def test_an_archive_is_what_the_unpacked_folder_is(tmp_path: Path) -> None:
    files = {**TREE, **ODD_NAMES, file_name(b"ant/\xe4.jpg"): b"latin-1"}
    make_files(tmp_path / "tree", files)
    (tmp_path / "tree" / "empty").mkdir()
    folder = open_folder(tmp_path / "tree")
    # Not in the folder's order, and with "./" before all names, as `tar -cf x.tar .` writes them.
    members = {f"./{name}": content for name, content in reversed(files.items())}
    archive = open_archive(write(tmp_path / "x.tar", tar_of({"./": b"", "./empty/": b"", **members})))
    assert list(archive.entries) == list(folder.entries)
    assert archive.class_names == folder.class_names == ["ant", "empty", "zebra"]
    count = range(len(folder.entries))
    assert [archive.read(number) for number in count] == [folder.read(number) for number in count]
    assert [archive.size(number) for number in count] == [folder.size(number) for number in count]
    assert archive.digest() == folder.digest()
    assert archive.name == f"archive {tmp_path / 'x.tar'}"
    assert archive.notes[0].startswith("15 members indexed in ")
    assert (
        archive.notes[1:]
        == folder.notes
        == [
            "ignored 3 files that are hidden or no images by name: 1 without extension, 1 .jpg, 1 .txt",
            "class empty (label 1) has no image",
        ]
    )
    assert archive.refused == folder.refused
    assert [str(bad) for bad in folder.refused] == [
        "Top.png is in no class: it lies beside the folders of the classes"
    ]
    archive.close()


def test_archives_in_an_archive_are_classes(tmp_path: Path) -> None:
    inner = {"b/z.jpg": b"in a folder", "1.jpg": b"in b"}
    path = write(
        tmp_path / "x.tar",
        tar_of(
            {
                "b.tar": tar_of(inner, tarfile.PAX_FORMAT),
                "a.TAR": tar_of({"1.jpg": b"in a"}),
                "empty.tar": END,
                "._b.tar": b"what macOS adds",
            }
        ),
    )
    source = open_archive(path)
    assert list(source.entries) == [Entry("a/1.jpg", 0), Entry("b/1.jpg", 1), Entry("b/b/z.jpg", 1)]
    assert [source.read(number) for number in range(3)] == [b"in a", b"in b", b"in a folder"]
    assert source.class_names == ["a", "b", "empty"]
    assert source.refused == []
    assert "class empty (label 2) has no image" in source.notes


def test_one_folder_around_the_classes_is_passed_over(tmp_path: Path) -> None:
    inner = tar_of({"1.jpg": b"2"})
    path = write(tmp_path / "x.tar", tar_of({"train/b/1.jpg": b"1", "train/a.tar": inner, "train/c/": b""}))
    source = open_archive(path)
    assert list(source.entries) == [Entry("train/a/1.jpg", 0), Entry("train/b/1.jpg", 1)]
    assert source.class_names == ["a", "b", "c"]


def test_hostile_members_are_refused_with_a_reason(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.tar",
        member("a/good.jpg", b"good"),
        member("/etc/passwd.jpg", b"x"),
        member("a/../../up.jpg", b"x"),
        member("..", b"x"),
        member("../", kind=tarfile.DIRTYPE),
        member("a/link.jpg", kind=tarfile.SYMTYPE),
        member("a/hard.jpg", kind=tarfile.LNKTYPE),
        member("a/disk.jpg", kind=tarfile.BLKTYPE),
        member("a/pipe", kind=tarfile.FIFOTYPE),
        member("a/holes.jpg", bytes(512), tarfile.GNUTYPE_SPARSE),
        pax({"path": "a/nul\0l.jpg"}) + member("a/nul.jpg", b"x"),
        pax({"path": "n" * 100_000}) + member("a/long.jpg", b"x"),
        member("b.tar", tar_of({"c.tar": tar_of({"1.jpg": b"x"}), "/abs.jpg": b"", "1.jpg": b"1"})),
        member("b.tar.gz", b"\x1f\x8bx"),
        member("a//./good.jpg", b"another"),
        END,
    )
    source = open_archive(path)
    assert list(source.entries) == [Entry("a/good.jpg", 0), Entry("b/1.jpg", 1)]
    assert [source.read(number) for number in range(2)] == [b"good", b"1"]
    assert [tuple(bad) for bad in source.refused] == [
        ("/etc/passwd.jpg", -1, "has an absolute path"),
        ("a/../../up.jpg", 0, "has a '..' in its path"),
        ("..", -1, "has a '..' in its path"),
        ("..", -1, "has a '..' in its path"),
        ("a/link.jpg", 0, "is a symbolic link"),
        ("a/hard.jpg", 0, "is a hard link"),
        ("a/disk.jpg", 0, "is a device"),
        ("a/pipe", 0, "is a named pipe"),
        ("a/holes.jpg", 0, "is a sparse file"),
        ("a/nul\0l.jpg", 0, "has a zero byte in its path"),
        ("n" * 200 + "...", -1, "has a name of 100,000 bytes"),
        ("b/c.tar", 1, "is an archive that is compressed or two levels deep: unpack it"),
        ("b//abs.jpg", 1, "has an absolute path"),
        ("b.tar.gz", -1, "is an archive that is compressed or two levels deep: unpack it"),
        ("a/good.jpg", 0, "is in the archive a second time"),
    ]


def test_an_image_of_absurd_size_is_refused(tmp_path: Path) -> None:
    size = 256 * 2**20 + 1
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(member("a/huge.jpg", size=size))
        file.seek(-(-size // 512) * 512, os.SEEK_CUR)  # a hole
        file.write(member("a/1.jpg", b"1") + END)
    source = open_archive(tmp_path / "x.tar")
    assert [str(bad) for bad in source.refused] == ["a/huge.jpg has 268,435,457 bytes, more than 268,435,456"]
    assert source.read(0) == b"1"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            b"\x1f\x8b\x08rest",
            "is compressed with gzip, and images are read at any place of it: gunzip it first",
        ),
        (b"BZh91AY", "is compressed with bzip2"),
        (b"\xfd7zXZ\0", "is compressed with xz"),
        (b"PK\x03\x04", "is a zip archive: unzip it"),
        (
            tar_of({"a/notes.txt": b"x", "top.jpg": b"x"}),
            "has no image in a folder: one folder, or tar archive",
        ),
        (tar_of({"a/1.jpg": b"x" * 2000})[:1500], "is cut off: 'a/1.jpg' has 2,000 bytes, and 988 are there"),
        (
            tar_of({"b.tar": tar_of({"1.jpg": b"x" * 2000})[:1500]}),
            "member 'b.tar', is cut off: '1.jpg' has 2,000",
        ),
        (tar_of({"b.tar": b"no archive" * 60}), "member 'b.tar', is not a tar archive"),
        (tar_of({"b.tar": b""}), "member 'b.tar', is empty"),
    ],
)
def test_archives_that_cannot_be_used(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = write(tmp_path / "x.tar", content)
    with pytest.raises(InputError) as caught:
        open_archive(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_no_file_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tar")
    for name, complaint in (
        ("gone.tar", "No such file"),
        ("pipe.tar", "is not a file"),
        (".", "is not a file"),
    ):
        with pytest.raises(InputError, match=complaint):
            open_archive(tmp_path / name)


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    members = {f"a/{number:03}.jpg": bytes([number]) * (900 + number) for number in range(200)}
    source = open_archive(write(tmp_path / "x.tar", tar_of(members)))
    wrong: list[int] = []

    def read_all() -> None:
        wrong.extend(
            number for number in range(200) if source.read(number) != bytes([number]) * (900 + number)
        )

    threads = [threading.Thread(target=read_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_archive_that_becomes_shorter(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", tar_of({"a/1.jpg": b"x" * 2000}))
    source = open_archive(path)
    os.truncate(path, 1500)
    with pytest.raises(ImageError, match=r"has 988 of its 2,000 bytes: the archive has become shorter"):
        source.read(0)


def test_progress_counts_members_and_bytes(tmp_path: Path) -> None:
    inner = tar_of({f"{number}.jpg": b"" for number in range(1500)})
    path = write(tmp_path / "x.tar", tar_of({"a.tar": inner, "b.tar": inner}))
    seen: list[tuple[int, int, int]] = []
    open_archive(path, lambda *numbers: seen.append(numbers))
    size = path.stat().st_size
    assert [members for members, _, _ in seen] == [1000, 2000, 3000, 3002]
    assert seen[-1][1:] == (size, size)
    assert [passed for _, passed, _ in seen] == sorted(passed for _, passed, _ in seen)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", ("a.jpg", None)),
        ("./a//b/./c.jpg", ("a/b/c.jpg", None)),
        (".", ("", None)),
        ("a..b/..c", ("a..b/..c", None)),
        ("a/..", ("a/..", "has a '..' in its path")),
        ("ß" * 2048, ("ß" * 2048, None)),
        ("ß" * 2049, ("ß" * 200 + "...", "has a name of 4,098 bytes")),
    ],
)
def test_paths_are_cleaned(name: str, expected: tuple[str, str | None]) -> None:
    assert clean_path(name) == expected
