import os
import subprocess
import sys

import pytest

from batchbrew.dataset import progress


def test_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 10.0, 15.0, 100.0])
    monkeypatch.setattr("batchbrew.dataset.progress.time.monotonic", lambda: next(clock))
    with progress.reporting("building x") as callback:
        for done in (500, 1000, 1500, 4000):
            callback(done, 7000, 2)
    assert capsys.readouterr().err.splitlines() == [
        "building x: 1,000 of 7,000 images, 100 images/s, 1:00 left, 2 bad",
        "building x: 4,000 of 7,000 images, 40 images/s, 1:15 left, 2 bad",
    ]


def test_a_pass_that_is_gone_on_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 105.0])
    monkeypatch.setattr("batchbrew.dataset.progress.time.monotonic", lambda: next(clock))
    with progress.reporting("building x", "quarantined") as meter:
        meter(600_000, 1_281_167, 7, 20 * 10**9)  # an earlier run's, which took no time of this one's
        meter(700_000, 1_281_167, 8, 24 * 10**9)
    assert capsys.readouterr().err.splitlines() == [
        "building x: 700,000 of 1,281,167 images, 1,000 images/s, 40.0 MB/s, 9:41 left, 8 quarantined"
    ]


def test_hours_are_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0])
    monkeypatch.setattr("batchbrew.dataset.progress.time.monotonic", lambda: next(clock))
    with progress.reporting("reading x") as meter:
        meter(10, 3_682, 0)
    assert capsys.readouterr().err == "reading x: 10 of 3,682 images, 1 images/s, 1:01:12 left\n"


def test_progress_is_a_bar_on_a_terminal() -> None:
    code = (
        "from batchbrew.dataset.progress import reporting\n"
        "with reporting('building x') as callback:\n"
        "    callback(5, 10, 1)\n"
        "    callback(10, 10, 2)\n"
    )
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert "10/10" in done.stderr
    assert "2 bad" in done.stderr
