"""The parts are run one after the other, whatever becomes of each; what is told and written of them."""

import json
import sys
from pathlib import Path
from typing import Any

import gpu_check.__main__ as program
import pytest

WELL = {"faults": [], "lines": ["fast"], "found": {"speed": 1}, "seconds": 1.5}
ILL = {"faults": ["ended with 1", "out of memory"], "lines": [], "found": None, "seconds": 0.5}


def test_a_part_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def run_part(name: str, arguments: list[str], limit_seconds: float, environment: dict[str, str]) -> Any:
        asked.append((name, limit_seconds))
        return ILL if name == "trainings" else WELL

    monkeypatch.setattr(program, "run_part", run_part)
    out = tmp_path / "found.json"
    arguments = ["--cpu", "--parts", "machine", "trainings", "throughput", "--limit", "7", "--out", str(out)]
    assert program.main(arguments) == 1
    assert asked == [("machine", 7.0), ("trainings", 7.0), ("throughput", 7.0)]
    screen = capsys.readouterr().out
    assert "\ntrainings\n  FAILED: ended with 1\n  out of memory\n  (0.5 s)\n" in screen
    assert "\nthroughput\n  fast\n  (1.5 s)\n" in screen
    assert screen.endswith(f"\n{out}: trainings failed\n")
    found = json.loads(out.read_text())
    assert (found["well"], found["device"], found["parts"]["trainings"]) == (False, "cpu", ILL)


def test_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "run_part", lambda *arguments: WELL)
    assert program.main(["--gpu", "1", "--parts", "machine", "--out", str(tmp_path / "it.json")]) == 0
    found = json.loads((tmp_path / "it.json").read_text())
    assert (found["well"], found["device"]) == (True, "gpu 1")


def test_options_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--cpu", "--batch", "resnet10=x"]) == 1
    assert "gpu_check: error: --batch resnet10=x is not NET=N" in capsys.readouterr().err


def watched(code: str, limit_seconds: float, folder: Path) -> list[str]:
    with (folder / "log").open("w+") as log:
        return program.watched([sys.executable, "-c", code], {}, limit_seconds, log)


def test_a_process_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    assert watched("print('fine')", 60, tmp_path) == []
    assert watched("import sys; sys.exit('no memory')", 60, tmp_path) == ["ended with 1", "no memory"]
    assert watched("import os; os.abort()", 60, tmp_path) == ["ended with -6"]


def test_a_process_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    code = f"import subprocess, sys, time; subprocess.Popen(['sh', '-c', 'sleep 2; touch {alive}']); time.sleep(60)"
    assert watched(code, 1, tmp_path) == ["not done within 1 seconds (--limit): ended"]
    # Had the shell been left alive it would have made the file one second later.
    watched("import time; time.sleep(1.5)", 60, tmp_path)
    assert not alive.exists()
