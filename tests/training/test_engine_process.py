"""Workers that end in all kinds of ways. What is not about Caffe itself runs without it, in this Python."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from batchbrew.errors import EngineError
from batchbrew.training.engine_process import EngineProcess, Event, LogLine
from batchbrew.training.engines import Engine, bvlc_engine

DEADLINE_SECONDS = 60

# Reads its job like the worker, then does as the test says.
PRETENDER = """#!{python}
import json, os, signal, sys, time
job = json.load(sys.stdin)
def say(text):
    os.write(job["events_descriptor"], text)
def log(text):
    os.write(2, text + b"\\n")
def give_up(text):
    log(b"F1122 09:00:00.000000 7 net.cpp:53] Check failed: " + text)
    log(b"*** Check failure stack trace: ***")
    os.abort()
{code}
"""

# A pycaffe that has just what the task `probe` asks for.
PYCAFFE = """
import time
def init_log(*_): print("caffe's log", flush=True)
def set_mode_cpu(): pass
def layer_type_list():
    {code}
    return ["Data"]
"""


def pretender(folder: Path, code: str) -> Engine:
    """An interpreter that runs `code` instead of the worker."""
    path = folder / "pretender"
    path.write_text(PRETENDER.format(python=sys.executable, code=code))
    path.chmod(0o755)
    return bvlc_engine(path)


@pytest.fixture
def this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The Python that runs the tests; tests put a pycaffe into `tmp_path`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return bvlc_engine(Path(sys.executable))


def run(caffe: Engine, **job: Any) -> tuple[EngineProcess, list[Event], list[str]]:
    """Run a job to its end; the events and the log lines."""
    process = EngineProcess(caffe, {"task": "probe", **job})
    messages = list(process.messages())
    events = [message for message in messages if isinstance(message, Event)]
    return process, events, [message.text for message in messages if isinstance(message, LogLine)]


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not gone(pid):
        assert time.monotonic() < deadline, f"{pid} lives on"
        time.sleep(0.01)


def test_events_and_log_lines_come_in_their_order_and_nothing_is_left(tmp_path: Path) -> None:
    code = """
for number in range(300):
    say(json.dumps({"event": "e", "number": number}).encode() + b"\\n")
    log(b"line %d \\xff" % number)
"""
    before = open_files()
    process, events, lines = run(pretender(tmp_path, code))
    assert [event.fields for event in events] == [{"number": number} for number in range(300)]
    assert lines == [f"line {number} \ufffd" for number in range(300)]
    assert process.failure() is None
    assert not Path(f"/proc/{process.pid}").exists()  # not even as a zombie
    process.kill()  # does nothing to an ended worker, nor to whoever has its number now
    assert open_files() == before


@pytest.mark.filterwarnings("error")  # of a thread that fails
def test_a_half_written_event_is_dropped(tmp_path: Path) -> None:
    code = """
say(b'{"event": "whole"}\\n{"event": "ha')
os.kill(os.getpid(), signal.SIGKILL)
"""
    process, events, _ = run(pretender(tmp_path, code))
    assert [event.name for event in events] == ["whole"]
    assert process.failure() == (
        "the Caffe process was killed (signal 9); if nobody did, the machine ran out of memory"
    )


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (
            'give_up(b"a == b (1 vs. 2)")',
            "Caffe gave up: Check failed: a == b (1 vs. 2)",
        ),
        (
            'give_up(b"error == cudaSuccess (2 vs. 0)  out of memory")',
            "Caffe gave up: Check failed: error == cudaSuccess (2 vs. 0)  out of memory (the GPU's memory is full: "
            "a smaller device batch with a larger iter_size needs less)",
        ),
        (
            'log(b"last"); log(b""); os.kill(os.getpid(), signal.SIGSEGV)',
            "the Caffe process was ended by SIGSEGV; its last words: last",
        ),
        ("sys.exit(3)", "the Caffe process failed with status 3; its last words: none"),
    ],
)
def test_how_an_end_is_explained(tmp_path: Path, code: str, failure: str) -> None:
    process, _, _ = run(pretender(tmp_path, code))
    assert process.failure() == failure


def test_a_python_2(tmp_path: Path) -> None:
    process, _, _ = run(pretender(tmp_path, 'log(b"SyntaxError: invalid syntax"); sys.exit(1)'))
    assert "(Python 3.6 or newer is needed: run scripts/install_caffe.sh" in str(process.failure())


def test_real_caffe_gives_up(caffe_python: Path, tmp_path: Path) -> None:
    job = {"task": "train", "solver": str(tmp_path / "nowhere.prototxt")}
    process, events, lines = run(bvlc_engine(caffe_python), **job)
    assert not events
    failure = process.failure()
    assert failure is not None
    assert failure.startswith("Caffe gave up: Check failed: ")
    assert "nowhere.prototxt" in failure
    assert "\n" not in failure
    assert any(line.startswith("F") for line in lines)


def test_a_python_without_pycaffe_or_numpy(this_python: Engine, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    for caffe, module in ((this_python, "caffe"), (bvlc_engine(bare), "numpy")):
        process, _, lines = run(caffe)
        assert process.failure() == (
            "the Caffe process failed with status 1; its last words: pycaffe cannot be imported: No module named "
            f"'{module}' (run scripts/install_caffe.sh, or name the Python of your own Caffe with --caffe-python or "
            "BATCHBREW_CAFFE_PYTHON)"
        )
        assert len(lines) == 1  # no traceback


def test_a_python_exception(this_python: Engine, tmp_path: Path) -> None:
    (tmp_path / "caffe.py").write_text(PYCAFFE.format(code='raise RuntimeError("no layers")'))
    process, events, lines = run(this_python)
    assert not events
    assert lines[0] == "caffe's log"
    assert process.failure() == (
        "the Caffe process failed with status 1; its last words: RuntimeError: no layers"
    )


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [("#!/bin/sh\n", 0o644, "Permission denied"), ("no program", 0o755, "Exec format error")],
)
def test_what_cannot_be_run(tmp_path: Path, content: str, mode: int, reason: str) -> None:
    before = open_files()
    path = tmp_path / "python"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(EngineError, match=rf"python cannot be run \({reason}\): run scripts/install_caffe"):
        run(bvlc_engine(path))
    assert open_files() == before


def test_a_worker_behind_a_shell_script_works_and_is_stopped_and_killed(
    this_python: Engine, tmp_path: Path
) -> None:
    """A Python that a script starts and waits for, as scripts do that set up an environment first."""
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\n{sys.executable} "$@"\nexit $?\n')
    script.chmod(0o755)
    (tmp_path / "caffe.py").write_text(PYCAFFE.format(code="pass"))
    caffe = bvlc_engine(script)
    process, events, _ = run(caffe)
    assert process.failure() is None
    assert [event.name for event in events] == ["engine"]
    say_pid_and_sleep = """
say(json.dumps({"event": "started", "pid": os.getpid()}).encode() + b"\\n")
signal.signal(signal.SIGTERM, lambda *_: (say(b'{"event": "asked"}\\n'), time.sleep(100)))
time.sleep(100)
"""
    pretender(tmp_path, say_pid_and_sleep)
    script.write_text(f'#!/bin/sh\n{tmp_path}/pretender "$@"\nexit $?\n')
    process = EngineProcess(caffe, {})
    worker = 0
    deadline = time.monotonic() + DEADLINE_SECONDS
    for message in process.messages():
        assert time.monotonic() < deadline, "the worker was not asked to stop"
        if isinstance(message, Event) and message.name == "started":
            worker = message.fields["pid"]
            time.sleep(0.2)  # for its handler
            process.ask_to_stop()
        elif isinstance(message, Event):
            assert message.name == "asked"
            break
    assert worker != process.pid
    process.kill()
    wait_until_gone(worker)


def test_a_worker_dies_with_its_parent(this_python: Engine, tmp_path: Path) -> None:
    (tmp_path / "caffe.py").write_text(PYCAFFE.format(code='print("asleep", flush=True); time.sleep(1000)'))
    parent_code = """
import sys
from pathlib import Path
from batchbrew.training.engine_process import EngineProcess, LogLine
from batchbrew.training.engines import bvlc_engine
process = EngineProcess(bvlc_engine(Path(sys.executable)), {"task": "probe"})
for message in process.messages():
    if isinstance(message, LogLine) and message.text == "asleep":
        print(process.pid, flush=True)
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert not gone(worker)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until_gone(worker)


def test_nothing_said_for_a_while_gives_the_caller_a_turn(tmp_path: Path) -> None:
    process = EngineProcess(pretender(tmp_path, "time.sleep(1000)"), {})
    assert next(iter(process.messages(timeout_seconds=0.01))) is None
    process.kill()
    assert "killed (signal 9)" in str(process.failure())


def test_the_job_reaches_the_worker_whole(tmp_path: Path) -> None:
    weights = [f"{number:0100d}" for number in range(20_000)]  # far more than a pipe holds
    _, events, _ = run(
        pretender(tmp_path, 'say(json.dumps({"event": "e", "n": len(job["weights"])}).encode() + b"\\n")'),
        weights=weights,
    )
    assert events[0].fields == {"n": 20_000}
