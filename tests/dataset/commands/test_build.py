from pathlib import Path
from typing import Any

import pytest

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.commands.build import build, build_options, read_class_names
from batchbrew.dataset.commands.info import info
from batchbrew.dataset.commands.show import show
from batchbrew.dataset.commands.source_choice import SourceChoice, check_outside, open_source
from batchbrew.dataset.commands.verify import verify
from batchbrew.dataset.description import read_description
from batchbrew.dataset.image_options import ImageOptions
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
    build(out, SourceChoice(folder=photos), build_options(side=32))
    text = capsys.readouterr().out
    for part in (
        "5 images in 3 classes",
        "ignored 1 file that is hidden or no image by name: 1 .txt",
        "class cat (label 2) has no image",
        "4 of 5 listed",
        "quarantined: ant/bad.jpg is not a JPEG",
    ):
        assert part in text
    description = read_description(out)
    assert description is not None
    assert description.class_names == ["ant", "bée", "cat"]
    info(out)
    text = capsys.readouterr().out
    assert "(bée): 1\n" in text
    assert "48×32 (4)" in text
    verify(out, workers=1)
    assert "4 records, all can be decoded; as dataset.json says" in capsys.readouterr().out
    show(out, tmp_path / "sheet.png", 3)
    assert (tmp_path / "sheet.png").exists()
    (out / "dataset.json").write_text("{}")
    with pytest.raises(InputError, match="1 problem in 4 records"):
        verify(out)


def test_the_target_is_looked_at_before_the_source(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="photos exists already"):
        build(photos, SourceChoice(folder=tmp_path / "absent"), build_options())
    with pytest.raises(InputError, match="absent cannot be read"):
        build(tmp_path / "new" / "db", SourceChoice(folder=tmp_path / "absent"), build_options())
    assert not (tmp_path / "new").exists()


def test_a_complete_lmdb_that_is_resumed_is_said_to_be_complete(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for expected in ("images/s", "nothing was left to make: it was complete already"):
        build(tmp_path / "db", SourceChoice(folder=photos), build_options(side=32, resume=True))
        shown = capsys.readouterr().out
        assert expected in shown
    assert "images/s" not in shown


def test_build_from_a_list_with_class_names(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("bée/x y.png 1\nant/0.jpg 0\n")
    (tmp_path / "classes.txt").write_text("Ant\nBee and more\n")
    choice = SourceChoice(images=photos, list_file=tmp_path / "list.txt", classes=tmp_path / "classes.txt")
    build(tmp_path / "db", choice, build_options(shuffle=False))
    description = read_description(tmp_path / "db")
    assert description is not None
    assert (description.seed, description.class_names) == (None, ["Ant", "Bee and more"])


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "no images are named: give --list"),
        ({"images": "photos"}, "no images are named"),
        ({"images": "photos", "folder": "photos"}, "--images goes with --list or --csv, not with --folder"),
        ({"folder": "photos", "tar": "x.tar"}, "--folder and --tar are given: choose one"),
        ({"list_file": "x"}, "--list is given without --images"),
        ({"images": "absent", "list_file": "x"}, "absent is not a folder"),
        ({"folder": "photos", "labels": "x"}, "--labels goes with --ilsvrc-val, not with --folder"),
    ],
)
def test_sources_that_make_no_sense(
    photos: Path, tmp_path: Path, given: dict[str, str], complaint: str
) -> None:
    choice = SourceChoice(**{name: tmp_path / value for name, value in given.items()})
    with pytest.raises(InputError, match=complaint):
        open_source(choice)


@pytest.mark.parametrize("option", ["folder", "ilsvrc_train", "ilsvrc_val"])
def test_the_lmdb_is_no_part_of_its_source(photos: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "link").symlink_to(photos)
    for out in (photos, photos / "db", tmp_path / "link" / "ant" / "db"):
        with pytest.raises(InputError, match=r"is in the folder of the images .*: choose a place outside"):
            build(out, SourceChoice(**{option: photos}), build_options())
    assert not list(photos.rglob("db*"))
    check_outside(tmp_path / "photos db", SourceChoice(**{option: photos}))
    photos.rename(tmp_path / "val")
    with pytest.raises(InputError, match=r"\(--ilsvrc-val .*/val\)"):
        check_outside(tmp_path / "val" / "db", SourceChoice(ilsvrc_val=tmp_path))
    check_outside(tmp_path / "val_lmdb", SourceChoice(ilsvrc_val=tmp_path))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"exif_orientation": "turn"}, "--exif-orientation 'turn' is not known: give apply or ignore"),
        ({"strict": True, "max_bad": 3}, "--strict allows no unreadable image and --max-bad 3"),
        ({"mode": "none", "side": 256}, "--side goes with a --mode that scales, not with none: it would"),
        ({"mode": "none", "enlarge": True}, "--enlarge goes with --mode short or pad, not with none"),
        ({"mode": "crop", "enlarge": True}, "--enlarge goes with --mode short or pad, not with crop"),
        ({"encoding": "raw", "recompress": True}, "--recompress is of JPEGs and PNGs, not of --encoding raw"),
        ({"encoding": "raw", "quality": 95}, "--quality is of JPEGs, not of --encoding raw"),
        ({"encoding": "png", "quality": 50}, "--quality is of JPEGs, not of --encoding png"),
        ({"shuffle": False, "seed": 0}, "--seed is of the shuffle, which --no-shuffle leaves out"),
        ({"shard": 0}, "--shard is one of --shards, which is not given"),
    ],
)
def test_options_that_make_no_sense(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        build_options(**given)


def test_options_reach_the_build() -> None:
    assert build_options() == BuildOptions(ImageOptions(side=256, quality=95), seed=0, shards=1)
    given = build_options(side=64, quality=70, seed=4, shards=3, shard=0)
    assert given == BuildOptions(ImageOptions(side=64, quality=70), seed=4, shards=3, shard=0)
    assert build_options(strict=True, shuffle=False, exif_orientation="apply", gray=True) == BuildOptions(
        ImageOptions(exif=True, gray=True), seed=None, max_bad=0
    )


@pytest.mark.parametrize(("content", "complaint"), [(b"a\n\nb\n", "line 2 is blank"), (b"\xff\xfe", "UTF-8")])
def test_class_names_that_are_wrong(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read_class_names(tmp_path / "classes.txt")
    with pytest.raises(InputError, match="No such file"):
        read_class_names(tmp_path / "absent.txt")
