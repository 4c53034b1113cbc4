"""Runs on the torch engine: the same supervisor, files and numbers as with real Caffe, and from one to the other."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchbrew.training.log import read_log
from batchbrew.training.snapshots import SnapshotLedger
from tests.training.conftest import TinyModel
from tests.training.test_supervisor import batchbrew, events_of, output_of, wait_until, weights_of, worker_of

Make = Callable[..., TinyModel]


def close(one: list[np.ndarray[Any, Any]], other: list[np.ndarray[Any, Any]], tolerance: float) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert np.abs(mine - theirs).max() <= tolerance * max(np.abs(theirs).max(), 1e-3)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def last_weights(run: str) -> list[np.ndarray[Any, Any]]:
    return weights_of(Path(run) / "snapshots" / "tiny_iter_40.caffemodel")


def test_half_a_run_in_either_engine_ends_where_the_whole_run_does_in_real_caffe(tiny_model: Make) -> None:
    """Batches of 8 of 50 images: a resumed run must find the record at which it was stopped."""
    model = tiny_model("max_iter: 40", "snapshot: 20", "test_iter: 6", "test_interval: 40", "iter_size: 2")
    change(model.solver, 'lr_policy: "poly"', 'lr_policy: "fixed"')
    output_of("train", model.solver, "--run", "start", "--engine", "bvlc")
    begun = ("--weights", "start/snapshots/tiny_iter_20.caffemodel")
    output_of("train", model.solver, "--run", "whole", "--engine", "bvlc", *begun)
    whole = last_weights("whole")
    for first, then in (("torch", "bvlc"), ("bvlc", "torch")):
        run = f"{first}_{then}"
        change(model.solver, "max_iter: 40", "max_iter: 20")
        output_of("train", model.solver, "--run", run, "--engine", first, *begun)
        change(model.solver, "max_iter: 20", "max_iter: 40")
        change(Path(run) / "solver.prototxt", "max_iter: 20", "max_iter: 40")
        output_of("train", "--resume", "--run", run, "--engine", then)
        assert json.loads((Path(run) / "run.json").read_text())["engine"] == then
        assert [snapshot.iteration for snapshot in SnapshotLedger(Path(run) / "snapshots").good()] == [40, 20]
        for one, other in zip(last_weights(run), whole, strict=True):
            assert np.abs(one - other).max() <= 1e-4 * np.abs(other).max()
        logs = [read_log(Path(name) / "train.log") for name in (run, "whole")]
        assert logs[0].done
        losses = [log.loss.values[-2:] for log in logs]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    results = [
        json.loads(output_of("test", "--run", "whole", "--engine", e, "--json")) for e in ("torch", "bvlc")
    ]
    assert results[0] == results[1]


def ignore_signals() -> None:
    """As nohup and scripts leave them to what they start in the background, and some service managers SIGTERM."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def test_a_killed_worker_and_a_stopped_run_lose_nothing(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 1000000", "snapshot: 25")
    run = Path("run")
    for sent, victim in ((signal.SIGKILL, "worker"), (signal.SIGTERM, "supervisor")):
        resumed = ("--resume",) if run.exists() else (model.solver,)
        process = batchbrew("train", *resumed, "--run", run, "--engine", "torch", preexec_fn=ignore_signals)
        seen = len(events_of(run)) if run.exists() else 0
        wait_until(lambda: snapshots_since(run, seen) > 1, process)  # noqa: B023
        target = worker_of(process.pid) if victim == "worker" else process.pid
        assert target is not None
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(process.pid, number)  # no effect: so it was begun
        os.kill(target, sent)
        text, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "go on with `batchbrew train --resume --run run`" in text
    with_snapshot = [event["iteration"] for event in events_of(run) if event["event"] == "snapshot"]
    assert with_snapshot == sorted(set(with_snapshot))
    starts = [event["iteration"] for event in events_of(run) if event["event"] == "attempt"]
    assert starts[0] == 0 and starts[1] in with_snapshot


def snapshots_since(run: Path, seen: int) -> int:
    return (
        sum(event["event"] == "snapshot" for event in events_of(run)[seen:])
        if (run / "events.jsonl").exists()
        else 0
    )


def test_a_divergence_is_met_by_a_restart(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 30", "snapshot: 10")
    change(model.solver, "base_lr: 0.01", "base_lr: 1e18")
    text = output_of(
        "train", model.solver, "--run", "run", "--engine", "torch", "--max-restarts", 1, status=1
    )
    assert "training diverged 2 times" in text and "lower base_lr (1e+18)" in text


def test_what_the_engine_refuses_is_said_in_one_line(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 3")
    change(model.net, "kernel_size: 3", "kernel_size: 30")
    text = output_of("train", model.solver, "--run", "run", "--engine", "torch", status=1)
    said = [line for line in text.splitlines() if "layer conv" in line]
    assert (
        said and "Traceback" not in text and "the torch engine gave up: the output of layer conv" in said[-1]
    )


def test_a_shuffled_run_that_was_stopped_goes_on_in_its_own_order(tiny_model: Make) -> None:
    """Of 50 images in batches of 8, stopped after 20 iterations of 40: in the middle of an epoch."""
    model = tiny_model("max_iter: 40", "snapshot: 20")
    change(model.solver, 'lr_policy: "poly"', 'lr_policy: "fixed"')
    shuffled = ("--engine", "torch", "--shuffle", "--seed", 5)
    output_of("train", model.solver, "--run", "whole", *shuffled)
    change(model.solver, "max_iter: 40", "max_iter: 20")
    output_of("train", model.solver, "--run", "parts", *shuffled)
    change(Path("parts/solver.prototxt"), "max_iter: 20", "max_iter: 40")
    output_of("train", "--resume", "--run", "parts")
    for one, other in zip(last_weights("parts"), last_weights("whole"), strict=True):
        np.testing.assert_array_equal(one, other)
    text = output_of("train", "--resume", "--run", "parts", "--engine", "bvlc", status=1)
    assert "parts is a run with --shuffle, which needs --engine torch: go on with that" in " ".join(
        text.split()
    )
    output_of("train", model.solver, "--run", "in_order", *shuffled[:2], *shuffled[3:])
    losses = [read_log(Path(run) / "train.log").loss.values for run in ("whole", "in_order")]
    assert losses[0] != losses[1]
