"""One builder for each target, and what may lie where it works."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.dataset.building.beforehand import check_beforehand
from batchbrew.dataset.building.exchange import exchange
from batchbrew.dataset.building.partial import Partial, check_target, working_on
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.errors import InputError
from tests.dataset.building.builds import SMALL, content, everything, names_in, pictures_source


def test_a_second_builder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 2)
    out = tmp_path / "out"
    with (
        working_on(out),
        pytest.raises(
            InputError, match=rf"out is being built by process {os.getpid()} on .*: wait for it"
        ) as caught,
    ):
        build_lmdb(source, out, SMALL)
    assert "\n" not in str(caught.value)
    build_lmdb(source, out, SMALL)
    assert names_in(tmp_path) == ["out", "photos"]


def test_nothing_is_left_of_a_build_that_was_killed_before_it_had_a_plan(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 2)
    for name in ("lock", ".plan.json.building-x7_ab"):
        (tmp_path / "out.partial").mkdir(exist_ok=True)
        (tmp_path / "out.partial" / name).write_text("{")
    build_lmdb(source, tmp_path / "out", SMALL)
    assert names_in(tmp_path) == ["out", "photos"]


def test_what_is_no_build_of_ours_is_left_alone(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 2)
    mine = tmp_path / "out.partial" / "my notes"
    mine.parent.mkdir()
    mine.touch()
    for options in (SMALL, replace(SMALL, force=True), replace(SMALL, resume=True)):
        with pytest.raises(InputError, match="holds 'my notes', which no interrupted build leaves"):
            build_lmdb(source, tmp_path / "out", options)
    assert mine.exists()


def test_a_file_in_the_place_of_a_build_is_left_alone(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 2)
    (tmp_path / "out.partial").write_text("mine")
    complaint = r"out\.partial is in the way, a file: .*; move it elsewhere"
    for options in (SMALL, replace(SMALL, force=True)):
        with pytest.raises(InputError, match=complaint):
            check_beforehand(tmp_path / "out", options)
        with pytest.raises(InputError, match=complaint):
            build_lmdb(source, tmp_path / "out", options)
    assert (tmp_path / "out.partial").read_text() == "mine"


def test_a_build_of_which_the_plan_cannot_be_read_is_dropped_with_force(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 2)
    partial, out = tmp_path / "out.partial", tmp_path / "out"
    (partial / "lmdb").mkdir(parents=True)
    (partial / "plan.json").write_text("{")
    with pytest.raises(InputError, match="holds an interrupted build"):
        check_beforehand(out, SMALL)
    for options in (replace(SMALL, resume=True), replace(SMALL, resume=True, force=True)):
        with pytest.raises(
            InputError, match=r"plan\.json makes no sense, .*anew with --force and without --resume"
        ):
            build_lmdb(source, out, options)
    check_beforehand(out, replace(SMALL, force=True))
    build_lmdb(source, out, replace(SMALL, force=True))
    assert names_in(tmp_path) == ["out", "photos"]


@pytest.mark.parametrize("shards", [1, 2])
def test_an_lmdb_beside_which_somebody_keeps_something_is_not_replaced(tmp_path: Path, shards: int) -> None:
    source, out = pictures_source(tmp_path / "photos", 4), tmp_path / "out"
    build_lmdb(source, out, replace(SMALL, shards=shards))
    name = "notes.txt" if shards == 1 else "shard-00001-of-00002/notes.txt"
    (out / name).touch()
    with pytest.raises(
        InputError, match=f"holds '{name}' besides an LMDB and is not replaced, --force or not: move that"
    ):
        build_lmdb(source, out, replace(SMALL, force=True))
    assert (out / name).exists()


@pytest.mark.parametrize("what", ["folder of LMDBs", "file", "link", "notes"])
def test_only_lmdbs_are_replaced(tmp_path: Path, what: str) -> None:
    out = tmp_path / "out"
    source = pictures_source(tmp_path / "photos", 2)
    if what == "folder of LMDBs":
        build_lmdb(source, out / "train", SMALL)
    elif what == "file":
        out.touch()
    elif what == "link":
        build_lmdb(source, tmp_path / "elsewhere", SMALL)
        out.symlink_to(tmp_path / "elsewhere")
    else:
        (out / "notes").mkdir(parents=True)
    with pytest.raises(InputError, match="is no LMDB and is not replaced, --force or not"):
        build_lmdb(source, out, replace(SMALL, force=True))
    assert out.exists()


def test_sets_of_shards_are_replaced(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 4)
    build_lmdb(source, tmp_path / "out", replace(SMALL, shards=2))
    check_target(tmp_path / "out", force=True)
    build_lmdb(source, tmp_path / "out", replace(SMALL, force=True))
    assert len(content(tmp_path / "out")) == 4


def steps_of_publishing(tmp_path: Path, old: bool) -> tuple[Partial, tuple[object, str]]:
    """A build that is whole, and killed before it takes its place; what it holds."""
    source = pictures_source(tmp_path / "photos", 4)
    out = tmp_path / "out"
    if old:
        build_lmdb(pictures_source(tmp_path / "old", 2), out, SMALL)
    built = build_lmdb(source, tmp_path / "whole", SMALL).path
    partial = Partial(out)
    partial.folder.mkdir()
    partial.begin({})
    built.rename(partial.growing)
    return partial, everything(partial.growing)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("can_exchange", [False, True])
def test_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(
            "batchbrew.dataset.building.exchange.ctypes.CDLL", lambda *args, **options: object()
        )
    partial, whole = steps_of_publishing(tmp_path, old)
    partial.publish()
    assert everything(tmp_path / "out") == whole
    assert list(partial.folder.iterdir()) == []


@pytest.mark.parametrize("killed_in", ["rename", "clear"])
def test_killed_in_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str) -> None:
    source = pictures_source(tmp_path / "photos", 4)
    out = tmp_path / "out"
    build_lmdb(pictures_source(tmp_path / "old", 2), out, SMALL)

    def kill(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if killed_in == "rename":
            patched.setattr("batchbrew.dataset.building.partial.exchange", kill)
        else:
            begin = Partial.begin
            patched.setattr(
                Partial, "begin", lambda *args: (begin(*args), patched.setattr(Partial, "clear", kill))
            )
        with pytest.raises(KeyboardInterrupt):
            build_lmdb(source, out, replace(SMALL, force=True))
    assert len(content(out)) == (2 if killed_in == "rename" else 4)
    assert (tmp_path / "out.partial" / "whole").is_dir()
    report = build_lmdb(source, out, replace(SMALL, force=True, resume=True))
    assert report.made == 0
    build_lmdb(source, tmp_path / "again", SMALL)
    assert everything(out) == everything(tmp_path / "again")
    assert not (tmp_path / "out.partial").exists()


def test_folders_change_places(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "one", tmp_path / "other")
    assert names_in(tmp_path / "one") == ["other"]
    assert names_in(tmp_path / "other") == ["one"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "absent")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_says_how_to_go_on(tmp_path: Path, number: signal.Signals, status: int) -> None:
    source = pictures_source(tmp_path, 40)
    lines = "".join(f"{path} {label}\n" for path, label in source.entries)
    (tmp_path / "list.txt").write_text(lines * 500)
    with subprocess.Popen(
        [
            sys.executable, "-m", "batchbrew", "lmdb", "build", "--images", tmp_path, "--list", tmp_path / "list.txt",
            "--out", tmp_path / "out", "--no-space-check",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as builder:  # fmt: skip
        assert builder.stdout is not None
        assert "20,000 images" in builder.stdout.readline()
        builder.send_signal(number)
        _, complaint = builder.communicate(timeout=60)
    assert builder.returncode == status
    assert complaint == (
        f"batchbrew: {tmp_path / 'out'} is not finished: go on with the same command and --resume\n"
    )
    assert not (tmp_path / "out").exists()
