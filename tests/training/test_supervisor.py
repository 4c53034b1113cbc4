"""Runs on real Caffe: to the end, through kills, through divergence, and what they leave on disk."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchbrew.proto import caffe_pb2
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array
from batchbrew.training.log import read_log
from batchbrew.training.snapshots import SnapshotLedger
from tests.training.conftest import TinyModel

Make = Callable[..., TinyModel]
KILLS = 10
BVLC = ("--engine", "bvlc")
DEADLINE_SECONDS = 60


def batchbrew(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a command in the working directory, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "batchbrew", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,
    )  # fmt: skip


def output_of(*arguments: object, status: int = 0) -> str:
    """Run a command to its end; what it printed."""
    process = batchbrew(*arguments)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == status, text
    return text


def weights_of(model: Path) -> list[np.ndarray[Any, Any]]:
    net = read_binary(model, caffe_pb2.NetParameter)
    return [blob_array(blob) for layer in net.layer for blob in layer.blobs]


def events_of(run: Path) -> list[dict[str, Any]]:
    """The events of a run; of a line during which the supervisor was killed, the kernel may write only a part."""
    lines = (run / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def worker_of(supervisor: int) -> int | None:
    """The process id of a supervisor's Caffe, once it has one."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return int(children[0]) if children else None


def test_a_run_leaves_what_a_run_folder_must_hold(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 40", "snapshot: 20", "test_iter: 6", "test_interval: 20")
    output = output_of("train", model.solver, *BVLC, "--run", "run")
    run = model.folder / "run"
    names = {path.name for path in run.iterdir()}
    assert names >= {"train_val.prototxt", "solver.prototxt", "train.log", "events.jsonl", "convergence.png"}
    assert [snapshot.iteration for snapshot in SnapshotLedger(run / "snapshots").good()] == [40, 20]
    log = read_log(run / "train.log")
    assert list(log.tests[0]["accuracy"].iterations) == [0, 20, 40]
    assert list(log.loss.iterations) == [0, 10, 20, 30, 40]
    assert log.done
    assert "tiny_iter_40.caffemodel" in output
    assert [event["event"] for event in events_of(run) if event["event"] != "test"] == [
        "attempt", "started", "snapshot", "snapshot", "finished",
    ]  # fmt: skip
    assert "is in use" not in output_of("train", "--resume", "--run", "run")  # finished: nothing left to do


def test_the_numbers_are_those_of_caffe_alone(tiny_model: Make, run_caffe: Callable[..., Any]) -> None:
    model = tiny_model("max_iter: 30", "snapshot: 30")
    output_of("train", model.solver, *BVLC, "--run", "run")
    code = """
import json, sys, caffe
solver = caffe.get_solver(sys.argv[1])
solver.step(30)
print(json.dumps([blob.data.ravel().tolist() for blobs in solver.net.params.values() for blob in blobs]))
"""
    alone = run_caffe(code, model.solver)
    ours = weights_of(model.folder / "run" / "snapshots" / "tiny_iter_30.caffemodel")
    assert [blob.ravel().tolist() for blob in ours] == alone


def test_a_stopped_and_resumed_run_ends_with_the_same_weights(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 300", "snapshot: 100", "iter_size: 2")
    output_of("train", model.solver, *BVLC, "--run", "whole")
    process = batchbrew("train", model.solver, *BVLC, "--run", "parts")
    ledger = model.folder / "parts" / "snapshots" / "ledger.jsonl"
    wait_until(lambda: ledger.exists() and '"iteration": 100' in ledger.read_text(), process)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=DEADLINE_SECONDS)
    if process.returncode != 0:  # else it was through before the signal came
        assert process.returncode == 1
        assert "go on with `batchbrew train --resume --run parts`" in text
        output_of("train", "--resume", "--run", "parts")
    whole, parts = (
        weights_of(model.folder / run / "snapshots" / "tiny_iter_300.caffemodel")
        for run in ("whole", "parts")
    )
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def test_after_kill_9_at_ten_random_moments_a_run_goes_on_from_its_last_whole_snapshot(
    tiny_model: Make,
) -> None:
    model = tiny_model("max_iter: 1000000", "snapshot: 25")
    draw = random.Random(20)
    run = model.folder / "run"
    arguments: tuple[object, ...] = ("train", model.solver, *BVLC, "--run", "run")
    expected, killed_at = 0, set()
    for victim in ["worker", "supervisor", "both"] * 3 + ["both", "nobody"]:
        seen = len(events_of(run)) if run.exists() else 0
        process = batchbrew(*arguments)
        arguments = ("train", "--resume", "--run", "run")
        wait_until(lambda seen=seen: started_since(run, seen), process)  # type: ignore[misc]
        started = next(event for event in events_of(run)[seen:] if event["event"] == "started")
        assert started["iteration"] == expected
        time.sleep(draw.uniform(0.0, 0.8))
        worker = worker_of(process.pid)
        assert worker is not None
        published = [event["iteration"] for event in events_of(run) if event["event"] == "snapshot"]
        for target in {"worker": [worker], "supervisor": [process.pid], "nobody": []}.get(
            victim, [process.pid, worker]
        ):
            os.kill(target, signal.SIGKILL)
        if victim == "nobody":
            process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=DEADLINE_SECONDS)
        if victim == "worker":
            assert process.returncode == 1
            assert "was killed (signal 9)" in text
        wait_until_gone(worker)
        good = SnapshotLedger(run / "snapshots").good()
        expected = good[0].iteration if good else 0
        assert expected >= max(published, default=0)
        killed_at.add(expected)
    assert len(killed_at) > KILLS // 2, "the kills came before training had got anywhere"


def started_since(run: Path, seen: int) -> bool:
    path = run / "events.jsonl"
    return path.exists() and any('"started"' in line for line in path.read_text().splitlines()[seen:])


def wait_until_gone(pid: int) -> None:
    """A worker must not outlive its supervisor."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, f"worker {pid} trains on without its supervisor"
        time.sleep(0.01)


def test_a_rate_of_ten_from_some_iteration_on_is_restarted_from_before_it(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 200", "snapshot: 25")
    text = model.solver.read_text().replace("base_lr: 0.01", "base_lr: 0.001")
    text = text.replace(
        'lr_policy: "poly"\npower: 1', 'lr_policy: "multistep"\ngamma: 1000000\nstepvalue: 60'
    )
    model.solver.write_text(text)
    output = output_of("train", model.solver, *BVLC, "--run", "run", "--max-restarts", "2", status=1)
    run = model.folder / "run"
    log = read_log(run / "train.log")
    events = events_of(run)
    assert len(log.divergences) == 3
    assert all(60 <= divergence.iteration < 200 for divergence in log.divergences)
    attempts = [event for event in events if event["event"] == "attempt"]
    assert [attempt["iteration"] for attempt in attempts] == [0, 50, 25]  # 50 led to it again at once
    assert [attempt["seed"] for attempt in attempts] == [7, 8, 9]
    assert attempts[1]["skipped_batches"] > 0
    assert "Diverged at iteration" in output
    assert "Restarting from iteration 50 with seed 8" in output
    assert "training diverged 3 times" in output
    assert "lower base_lr" in output
    assert all(np.isfinite(blob).all() for blob in weights_of(run / "snapshots" / "tiny_iter_50.caffemodel"))


def test_a_poisoned_snapshot_is_left_for_an_older_one(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 200", "snapshot: 25")
    process = batchbrew("train", model.solver, *BVLC, "--run", "run")
    folder = model.folder / "run" / "snapshots"
    wait_until(
        lambda: (folder / "ledger.jsonl").exists() and len(SnapshotLedger(folder).good()) >= 2, process
    )
    process.kill()
    process.communicate()
    newest, older = SnapshotLedger(folder).good()[:2]
    poison(folder, newest.iteration)
    output = output_of("train", "--resume", "--run", "run")
    assert f"Snapshot of iteration {newest.iteration} led to divergence: it is passed over" in output
    assert f"Restarting from iteration {older.iteration} with seed" in output
    assert SnapshotLedger(folder).good()[0].iteration == 200


def poison(folder: Path, iteration: int) -> None:
    """Make finite weights that lead to nan in a pass, and have the ledger take them for good."""
    ledger = SnapshotLedger(folder)
    snapshot = next(each for each in ledger.good() if each.iteration == iteration)
    net = read_binary(folder / snapshot.model, caffe_pb2.NetParameter)
    for blob in next(layer for layer in net.layer if layer.name == "conv").blobs:
        blob.data[:] = [3e38] * len(blob.data)
    ledger.prepare_new()
    model, state = ledger.new / snapshot.model, ledger.new / snapshot.state
    model.write_bytes(net.SerializeToString())
    state.write_bytes((folder / snapshot.state).read_bytes())
    ledger.publish(iteration, model, state, loss=0.1, seed=1, batches_read=snapshot.batches_read)


def test_two_trainings_in_one_folder_are_refused(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 1000000")
    process = batchbrew("train", model.solver, *BVLC, "--run", "run")
    wait_until(lambda: started_since(model.folder / "run", 0), process)
    assert "is in use by another training" in output_of("train", "--resume", "--run", "run", status=1)
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("train_lmdb", "no_lmdb"), "no_lmdb"),
        (('type: "InnerProduct"', 'type: "InnerProdukt"'), "Unknown layer type: InnerProdukt"),
        (("kernel_size: 3", "kernel_size: 99"), "Check failed"),
    ],
)
def test_what_caffe_dies_of_is_one_line(tiny_model: Make, change: tuple[str, str], message: str) -> None:
    model = tiny_model("max_iter: 10")
    model.net.write_text(model.net.read_text().replace(*change))
    output = output_of("train", model.solver, *BVLC, "--run", "run", status=1)
    last = output.strip().splitlines()[-1]
    assert last.startswith("batchbrew: ")
    assert message in last
    assert "Traceback" not in output
