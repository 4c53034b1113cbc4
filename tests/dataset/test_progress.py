import os
import re
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


@pytest.mark.parametrize(("width", "bar", "name"), [("160", True, True), ("80", False, False)])
def test_progress_is_a_bar_on_a_terminal_that_has_room_for_it(width: str, bar: bool, name: bool) -> None:
    code = (
        "import time\n"
        "from batchbrew.dataset.progress import reporting\n"
        "with reporting('building a/train_lmdb', 'quarantined') as meter:\n"
        "    meter(1281000, 1281167, 0, 0)\n"
        "    time.sleep(0.1)\n"  # more images a second than anybody builds would take more room
        "    meter(1281167, 1281167, 123, 40)\n"
    )
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": width}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stderr)
    assert re.search(
        r"building.* 1281167/1281167 [0-9,]+ images/s, 0\.0 MB/s, 0:00 left 123 quarantined", text
    )
    assert ("━" in text, "a/train_lmdb" in text) == (bar, name)
