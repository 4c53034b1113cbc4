import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchbrew import atomic
from batchbrew.errors import InputError

BUILDER = """
import sys, time
from pathlib import Path
from batchbrew import atomic
with atomic.building_folder(Path(sys.argv[1])) as folder:
    (folder / "part").write_text("half")
    print("building", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start_builder(target: Path) -> "subprocess.Popen[str]":
    builder = subprocess.Popen([sys.executable, "-c", BUILDER, target], stdout=subprocess.PIPE, text=True)
    assert builder.stdout is not None
    assert builder.stdout.readline() == "building\n"
    return builder


def test_folder_appears_only_when_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with atomic.building_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        assert not target.exists()
    assert names(target.parent) == ["out"]
    assert (target / "sub" / "file").read_text() == "x"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_block_that_failed(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic.building_folder(tmp_path / "out") as folder:
        (folder / "part").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_existing_target_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(InputError, match="exists already"), atomic.building_folder(tmp_path / "out"):
        raise AssertionError("not reached")
    assert (tmp_path / "out").read_text() == "precious"


def test_target_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"), atomic.building_folder(tmp_path / "out"):
        (tmp_path / "out").mkdir()
    assert names(tmp_path) == ["out"]


def test_live_builder_keeps_a_second_one_out_and_a_killed_one_does_not(tmp_path: Path) -> None:
    target = tmp_path / "out"
    builder = start_builder(target)
    with pytest.raises(InputError, match="being built by another process"), atomic.building_folder(target):
        raise AssertionError("not reached")
    atomic.remove_leftovers(target)
    assert builder.poll() is None
    assert len(names(tmp_path)) == 2  # the folder and its lock are still there
    builder.send_signal(signal.SIGKILL)
    builder.communicate()
    assert len(names(tmp_path)) == 2
    with atomic.building_folder(target) as folder:
        (folder / "whole").touch()
    assert names(tmp_path) == ["out"]
    assert names(target) == ["whole"]


def test_leftover_does_not_block_when_a_living_process_has_its_number(tmp_path: Path) -> None:
    (tmp_path / f".out.building-{os.getpid()}").mkdir()
    with atomic.building_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"]


def test_other_targets_are_left_alone(tmp_path: Path) -> None:
    others = [".out2.building-1", ".out.building-x.building-1", ".outX.building-1", "out.building-1"]
    for other in others:
        (tmp_path / other).mkdir()
    with atomic.building_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == sorted([*others, "out"])


def test_names_with_pattern_characters(tmp_path: Path) -> None:
    (tmp_path / ".a[b]*.building-1").mkdir()
    with atomic.building_folder(tmp_path / "a[b]*"):
        pass
    assert names(tmp_path) == ["a[b]*"]


def test_folder_is_built_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(handle: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("batchbrew.atomic.fcntl.flock", no_locks)
    (tmp_path / ".out.building-1").mkdir()
    with atomic.building_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == [".out.building-1", "out"]


def test_write_file_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file"
    atomic.write_file(path, "one")
    atomic.write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file"]


def test_write_file_that_fails_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("batchbrew.atomic.os.fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        atomic.write_file(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_write_file_removes_old_leftovers_that_nobody_holds(tmp_path: Path) -> None:
    hour_ago = time.time() - 3600
    abandoned, held, young = (tmp_path / f".file.building-{name}" for name in ("abandoned", "held", "young"))
    for leftover in (abandoned, held, young):
        leftover.touch()
    for leftover in (abandoned, held):
        os.utime(leftover, (hour_ago, hour_ago))
    with held.open("r+") as file:
        assert atomic.try_lock(file.fileno())
        atomic.write_file(tmp_path / "file", "x")
        assert names(tmp_path) == [held.name, young.name, "file"]


def test_many_files_are_synced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(atomic, "fsync_file", lambda path: synced.append(path.name))
    for many in (False, True):
        with atomic.building_folder(tmp_path / str(many), many_files=many) as folder:
            (folder / "one").touch()
            (folder / "two").touch()
        assert sorted(synced) == ["one", "two"]
        assert sorted(path.name for path in (tmp_path / str(many)).iterdir()) == ["one", "two"]
    monkeypatch.setattr(
        "ctypes.CDLL", lambda *_, **__: type("Libc", (), {"syncfs": lambda self, handle: -1})()
    )
    with (
        pytest.raises(InputError, match="failing cannot be written"),
        atomic.building_folder(tmp_path / "failing", many_files=True),
    ):
        pass
    assert not (tmp_path / "failing").exists()
