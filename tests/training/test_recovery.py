"""What a run must live through beside kills: odd folders, readers and files, and losses of other kinds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from batchbrew.errors import EngineError, InputError
from batchbrew.training import commands
from batchbrew.training.display import Display
from batchbrew.training.engine_process import EngineProcess
from batchbrew.training.engines import bvlc_engine, find_engine
from batchbrew.training.log import read_log
from batchbrew.training.run_folder import RunFolder, RunSettings, create_run, look_at_run, open_run
from batchbrew.training.snapshots import SnapshotLedger
from batchbrew.training.supervisor import Diverged, Interrupted, Supervisor
from tests.training.conftest import TinyModel
from tests.training.test_supervisor import BVLC, batchbrew, events_of

Make = Callable[..., TinyModel]
QUIET = Console(quiet=True)


def begin(model: TinyModel, name: str = "run") -> RunFolder:
    return create_run(Path(name), model.solver, RunSettings(7, None, str(Path.cwd())))


def follow(folder: RunFolder, *, max_restarts: int = 0) -> None:
    Supervisor(folder, find_engine("bvlc"), Display(QUIET), max_restarts=max_restarts).run()


def resume(run: Path, **options: Any) -> None:
    defaults: dict[str, Any] = {
        "weights": [], "gpu": None, "cpu": False, "seed": None, "max_restarts": 0, "engine": "bvlc",
        "caffe_python": None, "console": QUIET,
    }  # fmt: skip
    solver = options.pop("solver", None)
    commands.train(solver, run=run, resume=True, **{**defaults, **options})


def test_resumed_from_another_folder_with_files_that_end_in_half_a_line(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("max_iter: 20", "snapshot: 20")
    with begin(model) as folder:
        follow(folder)
    for name, half in (("train.log", "I1122 12:00:00.0 1 solver.cpp:239] Itera"), ("events.jsonl", '{"ti')):
        path = Path("run") / name
        path.write_text(path.read_text() + half)
    solver = Path("run/solver.prototxt")
    solver.write_text(solver.read_text().replace("max_iter: 20", "max_iter: 30"))
    # A run that diverged, was restarted and then killed must not read the same batches again.
    SnapshotLedger(Path("run/snapshots")).note_divergence(20, 25)
    elsewhere = model.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    resume(Path("../run"))
    assert any(line.endswith("] Itera") for line in Path("../run/train.log").read_text().splitlines())
    assert read_log(Path("../run/train.log")).done
    events = Path("../run/events.jsonl").read_text().splitlines()
    events.remove('{"ti')
    attempt = [event for event in map(json.loads, events) if event["event"] == "attempt"][1]
    assert attempt["iteration"] == 20
    assert attempt["skipped_batches"] in range(1, 6)  # 20, had it not diverged


def test_a_stop_that_is_asked_before_caffe_is_started_counts(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_new = SnapshotLedger.prepare_new

    def interrupted(ledger: SnapshotLedger) -> None:
        prepare_new(ledger)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(SnapshotLedger, "prepare_new", interrupted)
    with begin(tiny_model("max_iter: 100000000")) as folder, pytest.raises(Interrupted):
        follow(folder)


def test_a_reader_of_the_output_that_goes_away_does_not_end_training(tiny_model: Make) -> None:
    process = batchbrew("train", tiny_model("max_iter: 60", "snapshot: 10").solver, *BVLC, "--run", "run")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert events_of(Path("run"))[-1]["event"] == "finished"


REGRESSION = """
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "train_lmdb" backend: LMDB batch_size: 8 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 1 weight_filler { type: "constant" value: 1 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_a_large_loss_that_is_not_of_a_softmax_and_no_line_for_the_curve(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 4", "snapshot: 1")
    model.net.write_text(REGRESSION)
    text = model.solver.read_text().replace("base_lr: 0.01", "base_lr: 1e-20")
    model.solver.write_text(text.replace("display: 10", "display: 0"))
    process = batchbrew("train", model.solver, *BVLC, "--run", "run")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "No curve was drawn" in output
    started = next(event for event in events_of(Path("run")) if event["event"] == "started")
    assert (started["classes"], started["loss_weight"]) == (None, 0)
    assert [event["loss"] > 1e6 for event in events_of(Path("run")) if event["event"] == "snapshot"] == [
        True
    ] * 4


def test_the_last_snapshot_is_judged_by_one_more_pass(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 20", "snapshot: 10")
    text = model.solver.read_text().replace(
        'lr_policy: "poly"\npower: 1', 'lr_policy: "step"\ngamma: 1e30\nstepsize: 19'
    )
    model.solver.write_text(text)  # the very last update makes weights that are finite, and useless
    with begin(model) as folder:
        with pytest.raises(Diverged, match=r"last at iteration 19 .*lower base_lr \(0.01\) in run/solver"):
            follow(folder)
        assert [snapshot.iteration for snapshot in folder.ledger.good()] == [10]


def test_python_layers_are_found_beside_the_user(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 2")
    # "log" is the name of a module of ours, too
    Path("log.py").write_text(
        "import caffe\n"
        "class Same(caffe.Layer):\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = bottom[0].data\n"
        "    def backward(self, top, down, bottom): bottom[0].diff[...] = top[0].diff\n"
    )
    layer = (
        'layer { name: "same" type: "Python" bottom: "score" top: "same" '
        'python_param { module: "log" layer: "Same" } }\n'
    )
    text = model.net.read_text().replace('layer { name: "loss"', layer + 'layer { name: "loss"')
    model.net.write_text(
        text.replace(
            'bottom: "score" bottom: "label" top: "loss"', 'bottom: "same" bottom: "label" top: "loss"'
        )
    )
    with begin(model, "run") as folder:
        follow(folder)
    Path("log.py").unlink()
    with (
        begin(model, "without") as folder,
        pytest.raises(
            EngineError, match=r"No module named 'log'; the run reads its own copies of .* in without; "
        ),
    ):
        follow(folder)


def test_a_run_can_be_looked_at_while_it_trains(tiny_model: Make) -> None:
    with begin(tiny_model("max_iter: 10")) as folder:
        ledger = folder.root / "snapshots" / "ledger.jsonl"
        folder.ledger.begin_attempt(0, 7)
        ledger.write_text(ledger.read_text() + '{"half')  # the trainer is just writing it
        with look_at_run(folder.root) as seen:
            assert seen.ledger.attempts == 1
        assert ledger.read_text().endswith('{"half')


def test_what_a_resumed_run_may_change(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 2")
    with create_run(Path("run"), model.solver, RunSettings(7, 3, str(Path.cwd()))):  # a GPU that is not there
        pass
    for options, named in (
        ({"solver": model.solver}, "SOLVER"),
        ({"weights": [Path("w")], "seed": 0}, "--weights and --seed"),
    ):
        with pytest.raises(InputError, match=f"leave out {named}"):
            resume(Path("run"), **options)
    resume(Path("run"), cpu=True)
    with open_run(Path("run")) as folder:
        assert folder.settings.gpu is None
        assert folder.ledger.good()[0].iteration == 2


def test_a_net_with_a_comment_in_latin_1(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 10")
    content = b"# M\xfcller\n" + model.net.read_bytes()
    model.net.write_bytes(content)
    with begin(model):
        assert Path("run/train_val.prototxt").read_bytes() == content


def test_snapshots_of_a_run_that_is_gone_are_not_taken_over(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 10")
    with begin(model) as folder:
        folder.ledger.begin_attempt(0, 7)
    Path("run/run.json").unlink()
    with pytest.raises(InputError, match=r"holds the snapshots of another run, whose run\.json is gone"):
        begin(model)


def test_processes_that_a_killed_worker_leaves_do_not_hold_up_its_end(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nsleep 300 &\nkill -9 $$\n")
    script.chmod(0o755)
    process = EngineProcess(bvlc_engine(script), {})
    assert all(message is None for message in process.messages(timeout_seconds=0.05))
    assert "was killed (signal 9)" in str(process.failure())


def test_a_terminal_that_knows_no_arrows(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "batchbrew", "doctor", "--caffe-python", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert " ? " in done.stdout
