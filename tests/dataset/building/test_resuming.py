"""Builds that are killed, interrupted, refused, and gone on with."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.dataset.building import growing, record_writer
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.description import read_description
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.sources import Entry, FilesSource
from batchbrew.errors import InputError
from tests.dataset.building import killing
from tests.dataset.building.builds import SMALL, everything, names_in, pictures_source
from tests.dataset.pictures import write_pictures

Builds = Callable[..., int]
PLAIN = replace(SMALL, seed=None, check_space=False)
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with 12 pictures and a list of 400, of which some are not there."""
    names = [*write_pictures(tmp_path, 12), "absent.jpg", "gone.jpg"]
    lines = [f"{names[number % len(names)]} {number % len(names)}\n" for number in range(400)]
    (tmp_path / "list.txt").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def builds(root: Path) -> Iterator[Builds]:
    """`builds(OUT, OPTIONS, SECONDS)` as killing.py has it."""
    with subprocess.Popen(
        [sys.executable, "-m", killing.__name__, root],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    ) as forking:  # fmt: skip

        def status(out: Path, seconds: float | None = None, **options: object) -> int:
            assert forking.stdin is not None and forking.stdout is not None
            print(json.dumps([str(out), options, seconds]), file=forking.stdin, flush=True)
            return int(forking.stdout.readline())

        yield status
        assert forking.stdin is not None
        forking.stdin.close()


def seconds_of(builds: Builds, out: Path, **options: object) -> float:
    """Of a build, when the process that forks them has begun."""
    assert builds(out, **options) == 0
    started = time.monotonic()
    assert builds(out, force=True, **options) == 0
    return time.monotonic() - started


def test_killed_at_random_moments_and_gone_on_with(root: Path, builds: Builds) -> None:
    seconds = seconds_of(builds, root / "whole")
    whole = everything(root / "whole")
    chance = random.Random(5)
    kills = 0
    for number in range(5):
        out = root / f"out {number}"
        for _ in range(4):
            status = builds(out, chance.uniform(0, 0.4 * seconds), resume=True)
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
            assert not out.exists() or everything(out) == whole
        assert builds(out, resume=True) == 0
        assert everything(out) == whole
        assert not (root / f"out {number}.partial").exists()
    assert kills >= 6


def test_killed_with_shards(root: Path, builds: Builds) -> None:
    seconds = seconds_of(builds, root / "whole", shards=3)
    chance = random.Random(7)
    for _ in range(4):
        builds(root / "out", chance.uniform(0, 0.6 * seconds), shards=3, resume=True)
    assert builds(root / "out", shards=3, resume=True) == 0
    for shard in names_in(root / "whole"):
        assert everything(root / "out" / shard) == everything(root / "whole" / shard)
    assert not (root / "out.partial").exists()


class Breaking(FilesSource):
    """Pictures, of which one ends the build when it is read."""

    breaks_at: int | None = None
    error: type[BaseException] = KeyboardInterrupt

    def read(self, index: int) -> bytes:
        if index == self.breaks_at:
            raise self.error
        return super().read(index)


@pytest.fixture
def breaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Breaking:
    """Sixty pictures, of which the fortieth ends the build, in small transactions; one is not there."""
    monkeypatch.setattr(record_writer, "BATCH_BYTES", 2**13)
    (tmp_path / "photos").mkdir()
    names = [*write_pictures(tmp_path / "photos", 59), "absent.jpg"]
    source = Breaking([Entry(name, number % 3) for number, name in enumerate(names)], tmp_path / "photos")
    source.breaks_at = 40
    return source


def interrupted(source: Breaking, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_lmdb(source, out, PLAIN)
    assert names_in(out.with_name(f"{out.name}.partial")) == ["journal.jsonl", "lmdb", "lock", "plan.json"]
    source.breaks_at = None


def test_what_was_made_is_not_made_again(breaking: Breaking, tmp_path: Path) -> None:
    interrupted(breaking, tmp_path / "out")
    report = build_lmdb(breaking, tmp_path / "out", replace(PLAIN, resume=True))
    assert 20 <= report.made < 40
    build_lmdb(breaking, tmp_path / "whole", PLAIN)
    assert everything(tmp_path / "out") == everything(tmp_path / "whole")


def test_a_partial_build_is_neither_dropped_nor_gone_on_with_unasked(
    breaking: Breaking, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    interrupted(breaking, out)
    with pytest.raises(
        InputError, match="interrupted build: go on with it with --resume, or begin anew with --force"
    ):
        build_lmdb(breaking, out, PLAIN)
    report = build_lmdb(breaking, out, replace(PLAIN, force=True))
    assert report.made == 60
    assert names_in(tmp_path) == ["out", "photos"]


def test_other_options_or_another_source_are_refused_by_name(breaking: Breaking, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(breaking, out)
    resumed = replace(PLAIN, resume=True)
    with pytest.raises(InputError, match="quality: 95 then, 90 now; seed: None then, 4 now; give what"):
        build_lmdb(breaking, out, replace(resumed, images=ImageOptions(side=24, quality=90), seed=4))
    (tmp_path / "photos" / "7.jpg").write_bytes(b"shorter")
    with pytest.raises(InputError, match=r"source \(SHA-256 of paths, labels and sizes\): \w+ then, \w+ now"):
        build_lmdb(breaking, out, resumed)


def test_other_class_names_are_refused(breaking: Breaking, tmp_path: Path) -> None:
    out = tmp_path / "out"
    breaking.class_names = ["a", "b", "c"]
    interrupted(breaking, out)
    others = replace(PLAIN, resume=True, class_names=["a", "x", "c"])
    with pytest.raises(InputError, match="class name of label 1: 'b' then, 'x' now; give what was"):
        build_lmdb(breaking, out, others)
    build_lmdb(breaking, out, replace(PLAIN, resume=True))
    with pytest.raises(InputError, match="exists already"):
        build_lmdb(breaking, out, others)
    assert build_lmdb(breaking, out, replace(PLAIN, resume=True)).made == 0
    described = read_description(out)
    assert described is not None and described.class_names == ["a", "b", "c"]


def test_damage_is_found(breaking: Breaking, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(breaking, out)
    journal = tmp_path / "out.partial" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    build_lmdb(breaking, tmp_path / "whole", PLAIN)
    journal.write_bytes(b"".join(lines[:1]))
    with pytest.raises(InputError, match=r"its LMDB has .* begin anew with --force"):
        build_lmdb(breaking, out, replace(PLAIN, resume=True))
    journal.write_bytes(b"nonsense\n")
    with pytest.raises(InputError, match="line 1 of its journal makes no sense"):
        build_lmdb(breaking, out, replace(PLAIN, resume=True))
    # Half a line is what a full disk or a power cut leaves; it was for a transaction that never was.
    journal.write_bytes(b"".join(lines) + lines[-1][:20])
    build_lmdb(breaking, out, replace(PLAIN, resume=True))
    assert everything(out) == everything(tmp_path / "whole")


def test_an_lmdb_is_replaced_only_when_the_new_one_is_whole(breaking: Breaking, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_lmdb(pictures_source(tmp_path / "other", 5), out, SMALL)
    old = everything(out)
    with pytest.raises(InputError, match="exists already: choose another name, or replace it"):
        build_lmdb(breaking, out, PLAIN)
    with pytest.raises(KeyboardInterrupt):
        build_lmdb(breaking, out, replace(PLAIN, force=True))
    assert everything(out) == old
    breaking.breaks_at = None
    with pytest.raises(InputError, match="exists already"):
        build_lmdb(breaking, out, replace(PLAIN, resume=True))
    build_lmdb(breaking, out, replace(PLAIN, resume=True, force=True))
    assert everything(out) != old
    assert names_in(tmp_path) == ["other", "out", "photos"]


def test_a_finished_build_is_gone_on_with_by_doing_nothing(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 3)
    assert build_lmdb(source, tmp_path / "out", SMALL).made == 3
    report = build_lmdb(source, tmp_path / "out", replace(SMALL, resume=True))
    assert (report.made, report.description.images) == (0, 3)
    before = everything(tmp_path / "out")
    other = replace(SMALL, seed=7, resume=True)
    with pytest.raises(
        InputError, match=r"out exists already, of another build \(seed: 0 then, 7 now\): choose an"
    ):
        build_lmdb(source, tmp_path / "out", other)
    assert everything(tmp_path / "out") == before
    assert build_lmdb(source, tmp_path / "out", replace(other, force=True)).made == 3


def test_bytes_of_slow_pictures_are_committed_in_time(
    breaking: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "BATCH_BYTES", 2**30)
    monkeypatch.setattr(growing, "COMMIT_SECONDS", 0.0)
    interrupted(breaking, tmp_path / "out")
    report = build_lmdb(breaking, tmp_path / "out", replace(PLAIN, resume=True))
    assert report.made == 20


def test_reading_errors_that_are_no_pictures_fault_end_the_build(breaking: Breaking, tmp_path: Path) -> None:
    breaking.error = OSError
    with pytest.raises(InputError, match="--resume"):
        build_lmdb(breaking, tmp_path / "out", PLAIN)
    breaking.error = ImageError
    breaking_report = build_lmdb(breaking, tmp_path / "out", replace(PLAIN, resume=True))
    assert [bad.path for bad in breaking_report.description.unreadable] == ["40.jpg", "absent.jpg"]
