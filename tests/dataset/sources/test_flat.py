from pathlib import Path

import pytest

from batchbrew.dataset.images import ImageError
from batchbrew.dataset.sources import Entry, open_flat
from batchbrew.errors import InputError
from tests.dataset.sources.trees import END, make_files, member, tar_of, write

FILES = {"b 1.jpg": b"b", "a.png": b"a", "c.JPEG": b"c", "readme.txt": b"", ".hidden.jpg": b""}
FORMS = ["folder", "archive", "folder in an archive"]


@pytest.fixture(params=FORMS)
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of FILES, or an archive of it."""
    if request.param == "folder":
        make_files(tmp_path / "flat", {**FILES, "sub/d.jpg": b"d"})
        return tmp_path / "flat"
    prefix = "./val/" if request.param == "folder in an archive" else "./"
    return write(tmp_path / "flat.tar", tar_of({prefix + name: content for name, content in FILES.items()}))


def write_labels(tmp_path: Path, text: str) -> Path:
    return write(tmp_path / "labels.txt", text.encode())


def test_a_list_of_names_and_labels(images: Path, tmp_path: Path) -> None:
    source = open_flat(images, write_labels(tmp_path, "./c.JPEG 2\nb 1.jpg 0\n"), ["x", "y", "z"])
    assert [source.read(number) for number in range(2)] == [b"c", b"b"]
    assert [entry.label for entry in source.entries] == [2, 0]
    assert [Path(entry.path).name for entry in source.entries] == ["c.JPEG", "b 1.jpg"]
    assert source.class_names == ["x", "y", "z"]
    assert [note for note in source.notes if "indexed" not in note] == [
        "ignored 2 files that are hidden or no images by name: 1 .jpg, 1 .txt",
    ]
    assert [tuple(bad) for bad in source.refused] == [("a.png", -1, "has no label")]


def test_labels_alone_are_of_the_sorted_names(images: Path, tmp_path: Path) -> None:
    source = open_flat(images, write_labels(tmp_path, "7\n8\n9\n\n"))
    assert [entry.label for entry in source.entries] == [7, 8, 9]
    assert [source.read(number) for number in range(3)] == [b"a", b"b", b"c"]
    for text in ("1\n2\n", "1\n2\n3\n4\n"):
        with pytest.raises(InputError, match=rf"has {len(text) // 2} labels, but .* has 3 images"):
            open_flat(images, write_labels(tmp_path, text))
    with pytest.raises(InputError, match=r"labels\.txt, line 2: '' for a label|line 2 has '' for a label"):
        open_flat(images, write_labels(tmp_path, "1\n\n3\n"))


def test_a_listed_image_that_is_not_there_counts(tmp_path: Path) -> None:
    make_files(tmp_path / "flat", FILES)
    labels = write_labels(tmp_path, "a.png 1\ngone.jpg 2\n")
    folder = open_flat(tmp_path / "flat", labels)
    with pytest.raises(ImageError, match="No such file"):
        folder.read(1)
    archive = open_flat(write(tmp_path / "flat.tar", tar_of(FILES)), labels)
    assert list(archive.entries) == [Entry("a.png", 1)]
    assert [tuple(bad) for bad in archive.refused] == [
        ("gone.jpg", 2, "is not in the archive"),
        ("b 1.jpg", -1, "has no label"),
        ("c.JPEG", -1, "has no label"),
    ]


def test_a_refused_member_is_refused_once(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", member("a.jpg", b"a"), member("b.jpg", kind=b"2"), END)
    source = open_flat(path, write_labels(tmp_path, "a.jpg 1\nb.jpg 1\n"))
    assert [str(bad) for bad in source.refused] == ["b.jpg is a symbolic link"]


def test_what_cannot_be_used(tmp_path: Path) -> None:
    make_files(tmp_path / "flat", ["sub/1.jpg", "notes.txt"])
    labels = write_labels(tmp_path, "a.jpg 1\n")
    with pytest.raises(InputError, match=r"flat has no image itself \(folders in it do not count\)"):
        open_flat(tmp_path / "flat", labels)
    with pytest.raises(InputError, match=r"x\.tar has no image: images are"):
        open_flat(write(tmp_path / "x.tar", tar_of({"notes.txt": b""})), labels)
    with pytest.raises(
        InputError, match=r"has none of the images that were listed: it has 'b\.jpg', for one"
    ):
        open_flat(write(tmp_path / "x.tar", tar_of({"b.jpg": b""})), labels)
    with pytest.raises(InputError, match=r"gone\.txt cannot be read"):
        open_flat(tmp_path / "x.tar", tmp_path / "gone.txt")
