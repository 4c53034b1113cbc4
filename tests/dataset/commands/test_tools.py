"""What the commands print and how they end: through the command line, as a user does."""

import json
from pathlib import Path

import pytest

from batchbrew.__main__ import main
from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.sources import Entry, FilesSource
from tests.dataset.lmdbs import pixel_lmdb, raw_datum, write_records
from tests.dataset.pictures import write_pictures


class Ran:
    """A command that was run."""

    def __init__(self, status: int, out: str, error: str) -> None:
        self.status, self.out, self.error = status, out, error


class Shell:
    """Runs commands, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> Ran:
        self._monkeypatch.setattr("sys.argv", ["batchbrew", "lmdb", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = self._capsys.readouterr()
        return Ran(int(end.value.code or 0), captured.out, captured.err)


@pytest.fixture
def lmdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Twelve pictures 48×32 of three named classes, and one that could not be read."""
    photos = tmp_path / "photos"
    photos.mkdir()
    entries = [Entry(name, number % 3) for number, name in enumerate(write_pictures(photos, 12))]
    source = FilesSource([*entries, Entry("bad.jpg", 0)], photos, ["ant", "bee", "cat"], "folder photos")
    build_lmdb(source, tmp_path / "db", BuildOptions(ImageOptions(side=32)))
    return tmp_path / "db"


def test_info_tells_where_it_comes_from(lmdb: Shell, db: Path) -> None:
    text = lmdb("info", db).out
    for part in (
        "records           │ 12 ", "3, 0 to 2 (4 images each)", "JPEG 12 ", "48×32 (12)", "1 left out",
        "folder photos (digest ", "mode short, side 32", "label 1 (bee): 4", "left out: bad.jpg cannot be read",
        "mean, std (BGR)",
    ):  # fmt: skip
        assert part in text, text
    assert lmdb("shuffle", db, "one", "--seed", 3).out.startswith(
        "one: 12 records, 3 classes (4 images each)"
    )
    assert lmdb("subset", "one", "two", "--count", 6).status == 0
    text = lmdb("info", "two").out
    assert "6 records drawn with seed 0, of one (12 records, sha256 " in text
    assert "shuffled with seed 3, of db (12 records, sha256 " in text
    fields = json.loads(lmdb("info", "two", "--json", "--full").out)
    assert (fields["records"], fields["looked_at"], fields["class_names"]) == (6, 6, ["ant", "bee", "cat"])
    assert fields["description"]["made_from"]["from"][0]["made_from"]["from"][0]["name"] == "db"


def test_info_of_a_description_that_somebody_wrote(lmdb: Shell, db: Path) -> None:
    path = db / "dataset.json"
    fields = json.loads(path.read_text())
    strange = {
        "made_from": {"how": 3, "from": [None, {"name": 1, "sha256": "x"}]},
        "source": {},
        "odd": {},
        "shard": [1],
    }
    path.write_text(json.dumps(fields | strange))
    assert lmdb("info", db).status == 0
    for wrong in (
        {"odd": {"CMYK": 3}}, {"odd": {"CMYK": {"count": 1}}}, {"class_names": [1, 2, 3]}, {"kinds": {"JPEG": "many"}},
        {"mean": ["x"]},
    ):  # fmt: skip
        path.write_text(json.dumps(fields | wrong))
        ran = lmdb("info", db)
        assert (ran.status, ran.error.count("\n")) == (1, 1)
        assert f"does not describe a data set ({next(iter(wrong))} holds" in ran.error


def test_what_a_terminal_would_obey_is_not_printed(lmdb: Shell, db: Path, tmp_path: Path) -> None:
    path = db / "dataset.json"
    fields = json.loads(path.read_text())
    hostile = "[/red]\x1b[2J\nbatchbrew: fine"
    names = {"class_names": [hostile, "\ud800", "c"], "source": {"name": hostile, "digest": hostile}}
    path.write_text(json.dumps(fields | names | {"kinds": {hostile: 1}, "made_from": {"how": hostile}}))
    key = b"00000000_[/bold]\x1b[31m\n.png"
    write_records(tmp_path / "keys", [(key, raw_datum(1, 1, 1, b"xy"))])
    write_records(tmp_path / "fine", [(key, raw_datum(1, 1, 1, b"x"))])
    for ran in (lmdb("info", db), lmdb("verify", db), lmdb("verify", "keys"), lmdb("info", "fine")):
        assert "\x1b" not in ran.out + ran.error
        assert "\nbatchbrew: fine" not in ran.out + ran.error
    assert "[/red]\\x1b[2J" in lmdb("info", db).out
    assert "[/bold]\\x1b[31m\\n.png" in lmdb("info", "fine").out


def test_info_cuts_nothing_off(lmdb: Shell, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = db / "dataset.json"
    fields = json.loads(path.read_text())
    odd = {f"kind {number}": {"count": number, "images": []} for number in range(20)}
    path.write_text(json.dumps(fields | {"odd": odd}))
    monkeypatch.setenv("COLUMNS", "60")
    words = lmdb("info", db).out.replace("│", " ").split()
    assert "…" not in "".join(words)
    assert fields["sha256"] in "".join(words)
    text = " ".join(words)
    assert all(f"kind {number} ({number})" in text for number in range(20))
    assert "exif-orientation ignore, " in text


def test_verify_is_one_line_a_problem_and_exit_1(lmdb: Shell, db: Path) -> None:
    ran = lmdb("verify", db, "--workers", 2)
    assert (ran.status, ran.out.splitlines()[0]) == (
        0,
        f"{db}: 12 records, all can be decoded; as dataset.json says",
    )
    assert "3 labels, 0 to 2, the smallest 0 (ant) with 4 records" in ran.out
    lmdb("split", db, "train", "val", "--fractions", "0.75,0.25")
    ran = lmdb("verify", "train", "--against", "val")
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "train: no picture of val is in it")
    ran = lmdb("verify", db, "--against", "val")
    assert ran.status == 1
    assert ran.out.startswith("3 pictures (3 of them byte for byte) of val are in ")
    assert ran.error.endswith(
        "has 3 problems in 12 records: take the pictures that two data sets share out of one of them, or let them be "
        "with --allow-duplicates\n"
    )
    ran = lmdb("verify", db, "--against", "val", "--allow-duplicates")
    assert (ran.status, ran.out.splitlines()[0].startswith("warning: 3 pictures")) == (0, True)
    ran = lmdb("verify", db, "--against", "val", "--json")
    fields = json.loads(ran.out)
    assert (ran.status, fields["problem_count"], fields["in_both"]["val"]["pictures"]) == (1, 3, 3)
    assert lmdb("verify", db, "--workers", 0).status == 1


def test_rewriting_commands(lmdb: Shell, tmp_path: Path) -> None:
    pixel_lmdb(tmp_path / "a", [0, 1, 2, 0])
    pixel_lmdb(tmp_path / "b", [0, 1])
    ran = lmdb("merge", "a", "b", "both", "--offset-labels")
    assert ran.out == (
        "both: 6 records, 5 classes (1 to 2 images each), 0.0 MiB; merged, the labels of each behind those of the one "
        "before\n"
    )
    assert "exists already" in lmdb("merge", "a", "b", "both").error
    assert lmdb("merge", "a", "b", "both", "--force").out.startswith("both: 6 records, 3 classes")
    ran = lmdb("subset", "both", "few", "--labels", "1-2", "--relabel", "--per-class", 1, "--seed", 5)
    assert ran.out.startswith("few: 2 records, 2 classes (1 image each)")
    ran = lmdb("split", "both", "x", "y", "--fractions", "0.5,0.5", "--no-stratified")
    assert [line[:12] for line in ran.out.splitlines()] == ["x: 3 records", "y: 3 records"]
    assert lmdb("split", "both", "p", "q", "--fractions", "a,b").error.count("\n") == 1


def test_export_mean_and_show(lmdb: Shell, db: Path, tmp_path: Path) -> None:
    ran = lmdb("export", db, "files", "--by-class", "--format", "png")
    assert ran.out == f"files: 12 images of {db}; files/list.txt names them with their labels\n"
    assert (tmp_path / "files" / "images" / "bee" / "1.png").is_file()
    ran = lmdb("mean", db, "mean.binaryproto")
    assert ran.out.splitlines()[0].startswith("mean.binaryproto: the mean of 12 images, 3×32×48")
    assert [line[:12] for line in ran.out.splitlines()[1:]] == ["mean_value: "] * 3
    assert "--force" in lmdb("mean", db, "mean.binaryproto").error
    assert (
        lmdb("show", db, "--out", "sheet.png", "--count", 4, "--label", 1, "--seed", 2).out
        == f"sheet.png: 4 records of {db}\n"
    )
