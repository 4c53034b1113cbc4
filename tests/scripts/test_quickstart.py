"""The quickstart in its short version, with the real photographs, and without any real Caffe."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from batchbrew.training.log import read_log

CHECKOUT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 600


def no_caffe(folder: Path) -> Path:
    """Where a real Caffe would be looked for, and installed."""
    return folder / "no" / "caffe"


def start_quickstart(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CHECKOUT / "scripts" / "quickstart.sh"],
        env={
            **os.environ, "QUICK": "1", "QUICKSTART_DIR": str(folder), "BATCHBREW_CAFFE_HOME": str(no_caffe(folder)),
        },
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def kill_while_it_builds_an_lmdb(folder: Path) -> None:
    """End the quickstart with kill -9, it and all it started, in the middle of its data step."""
    process = start_quickstart(folder)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (folder / "data" / "elpv_train_lmdb.partial" / "plan.json").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert (folder / "data" / "elpv_train_lmdb.partial").is_dir()
    assert not (folder / "data" / "elpv_train_lmdb").exists()


def test_killed_in_its_data_step_and_started_again_it_ends_with_a_network_that_has_learned(
    tmp_path: Path,
) -> None:
    kill_while_it_builds_an_lmdb(tmp_path)
    process = start_quickstart(tmp_path)
    screen, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, screen
    left = {path.name for path in (tmp_path / "data").iterdir() if "lmdb" in path.name}
    assert left == {"elpv_train_lmdb", "elpv_val_lmdb"}

    described = json.loads((tmp_path / "data" / "elpv_train_lmdb" / "dataset.json").read_text())
    assert (described["images"], described["unreadable"]) == (2099, [])
    error, majority = (
        float(re.search(rf"{words} +(\d+\.\d+)%", screen)[1])  # type: ignore[index]
        for words in ("top-1 error", "always the commonest")
    )
    assert majority == 42.48  # 302 of 525 are functional
    assert error < majority
    run = tmp_path / "logs" / "quickstart-quick"
    assert (run / "convergence.png").read_bytes().startswith(b"\x89PNG")
    log = read_log(run / "train.log")
    assert log.done
    assert not log.unparsed
    assert "What to type next" in screen
    assert "engine: torch, device: " in (run / "train.log").read_text()
    assert json.loads((run / "run.json").read_text())["shuffle"]
    assert not no_caffe(tmp_path).parent.exists()
