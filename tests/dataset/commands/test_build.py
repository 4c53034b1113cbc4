from pathlib import Path

import pytest

from batchbrew.dataset.commands.build import build, read_class_names
from batchbrew.dataset.commands.info import info
from batchbrew.dataset.commands.show import show
from batchbrew.dataset.commands.verify import verify
from batchbrew.dataset.description import read_description
from batchbrew.errors import InputError
from tests.dataset.pictures import encoded, write_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, four images, one of them no image; an empty class; a text."""
    root = tmp_path / "photos"
    for name in ("ant", "bée", "cat"):
        (root / name).mkdir(parents=True)
    write_pictures(root / "ant", 3)
    (root / "bée" / "x y.png").write_bytes(encoded(".png"))
    (root / "ant" / "bad.jpg").write_text("no image")
    (root / "ant" / "notes.txt").touch()
    return root


def test_build_from_a_folder_and_all_the_rest(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "db"
    build(out, folder=photos, short_side=32)
    text = capsys.readouterr().out
    for part in (
        "5 images in 3 classes",
        "ignored 1 files that are no images or in no class: 1 .txt",
        "class cat (label 2) has no image",
        "4 of 5 listed",
        "left out: ant/bad.jpg is not a JPEG",
    ):
        assert part in text
    description = read_description(out)
    assert description is not None
    assert description.class_names == ["ant", "bée", "cat"]
    info(out)
    text = capsys.readouterr().out
    assert "label 1 bée: 1\n" in text
    assert "48×32 (4)" in text
    verify(out, workers=1)
    assert "4 records, all can be decoded; as dataset.json says" in capsys.readouterr().out
    show(out, tmp_path / "sheet.png", 3)
    assert (tmp_path / "sheet.png").exists()
    (out / "dataset.json").write_text("{}")
    with pytest.raises(InputError, match="1 problems in 4 records"):
        verify(out)


def test_build_from_a_list_with_class_names(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("bée/x y.png 1\nant/0.jpg 0\n")
    (tmp_path / "classes.txt").write_text("Ant\nBee and more\n")
    build(
        tmp_path / "db",
        images=photos,
        list_file=tmp_path / "list.txt",
        classes_file=tmp_path / "classes.txt",
        shuffle=False,
    )
    description = read_description(tmp_path / "db")
    assert description is not None
    assert (description.seed, description.class_names) == (None, ["Ant", "Bee and more"])


def test_sources_that_make_no_sense(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images are named"):
        build(tmp_path / "db", images=photos)
    with pytest.raises(InputError, match="choose one way"):
        build(tmp_path / "db", images=photos, folder=photos)
    with pytest.raises(InputError, match="--images"):
        build(tmp_path / "db", images=tmp_path / "absent", list_file=tmp_path / "x")


@pytest.mark.parametrize(("content", "complaint"), [(b"a\n\nb\n", "line 2 is blank"), (b"\xff\xfe", "UTF-8")])
def test_class_names_that_are_wrong(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read_class_names(tmp_path / "classes.txt")
    with pytest.raises(InputError, match="No such file"):
        read_class_names(tmp_path / "absent.txt")
