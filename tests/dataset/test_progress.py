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
