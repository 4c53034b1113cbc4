"""Whole logs: hand-made ones with every mishap, and one that real Caffe writes here."""

import json
import math
import os
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.training.log import glog_line, parse_solver, read_log
from batchbrew.training.training_log import Divergence, Restart, Series, TrainingLog

WHEN = datetime(2026, 11, 22, 12, 0, 0)


def lines(*messages: str) -> str:
    return "".join(
        glog_line("I", message, when=WHEN, pid=7, source="solver.cpp") + "\n" for message in messages
    )


def step(iteration: int, loss: object = 1.0) -> str:
    return lines(f"Iteration {iteration}, loss = {loss}", f"Iteration {iteration}, lr = 0.1")


def test_at(iteration: int, accuracy: float, net: int = 0) -> str:
    return lines(
        f"Iteration {iteration}, Testing net (#{net})", f"    Test net output #0: accuracy = {accuracy}"
    )


test_at.__test__ = False  # type: ignore[attr-defined]


def read(folder: Path, text: str | bytes) -> TrainingLog:
    path = folder / "train.log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_log(path)


def pairs(series: Series) -> list[tuple[int, float]]:
    return list(zip(series.iterations, series.values, strict=True))


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    text = (
        lines("Initializing solver from parameters: ")
        + 'base_lr: 0.05\nmax_iter: 40\nlr_policy: "poly"\n'
        + lines("Creating training net from net file: test.prototxt", "Solving AlexNet")
        + test_at(0, 0.001)
        + step(0, 6.9)
        + lines("    Train net output #0: loss = 6.8 (* 1 = 6.8 loss)")
        + step(20, 5.5)
        + lines(
            "Snapshotting to binary proto file ft_iter_40.caffemodel",
            "Restarting data prefetching from start.",
        )
        + test_at(40, 0.25, net=1)
        + lines("    Test net output #1: loss = 3.5 (* 1 = 3.5 loss)", "Optimization Done.")
    )
    log = read(tmp_path, text)
    assert (log.net_name, log.done, log.unparsed_count, log.restarts) == ("AlexNet", True, 0, [])
    assert log.solver is not None
    assert (log.solver.max_iter, log.solver.lr_policy) == (40, "poly")
    assert pairs(log.loss) == [(0, 6.9), (20, 5.5)]
    assert pairs(log.rate) == [(0, 0.1), (20, 0.1)]
    assert pairs(log.train_outputs["loss"]) == [(0, 6.8)]
    assert pairs(log.tests[0]["accuracy"]) == [(0, 0.001)]
    assert pairs(log.tests[1]["accuracy"]) == [(40, 0.25)]
    assert log.losses == {"loss"}
    assert [(s.path, s.iteration) for s in log.snapshots] == [("ft_iter_40.caffemodel", 40)]


def test_a_resumed_run_replaces_what_it_left_behind(tmp_path: Path) -> None:
    old = "".join(step(i) for i in range(0, 600, 20)) + test_at(600, 0.3)
    old += "".join(step(i) for i in range(600, 800, 20))
    snapshots = lines("Snapshotting to x_iter_500.caffemodel", "Snapshotting to x_iter_600.caffemodel")
    new = test_at(500, 0.4) + step(500, 2.0) + step(520, 2.0)
    log = read(tmp_path, old + snapshots + new)
    assert pairs(log.loss)[-3:] == [(480, 1.0), (500, 2.0), (520, 2.0)]
    assert pairs(log.tests[0]["accuracy"]) == [(500, 0.4)]
    assert [s.iteration for s in log.snapshots] == [500]
    assert log.restarts == [Restart(500, 780)]
    assert log.divergences == []


def test_a_restart_that_several_lines_announce_is_one(tmp_path: Path) -> None:
    announced = lines(
        "Diverged at iteration 740: loss = nan",
        "Restarting from iteration 500 with seed 3",
        "Restoring previous solver status from snapshots/x_iter_500.solverstate",
    )
    log = read(tmp_path, step(480) + step(500) + step(740, "nan") + announced)
    assert log.restarts == [Restart(500, 740, 3)]
    assert log.divergences == [Divergence(740, "loss = nan")]
    assert pairs(log.loss) == [(480, 1.0), (500, 1.0)]  # abandoned, though nothing new has come yet
    log = read(tmp_path, step(480) + step(740) + announced + step(520) + step(540))
    assert log.restarts == [Restart(500, 740, 3)]
    assert list(log.loss.iterations) == [480, 520, 540]


def test_a_restart_from_a_file_without_iteration(tmp_path: Path) -> None:
    log = read(tmp_path, step(100) + step(140) + lines("Resuming from last.solverstate") + step(120))
    assert log.restarts == [Restart(120, 140)]
    assert list(log.loss.iterations) == [100, 120]


@pytest.mark.parametrize("loss", ["nan", "-nan", "inf", "87.3365"])
def test_losses_show_a_divergence_by_themselves(tmp_path: Path, loss: str) -> None:
    lost = step(0) + step(20) + step(40, loss) + step(60, loss)
    assert [d.iteration for d in read(tmp_path, lost).divergences] == [40]
    restarted = read(tmp_path, lost + step(20) + step(40) + step(60))
    assert [d.iteration for d in restarted.divergences] == [40]
    assert list(restarted.loss.values) == [1.0] * 4
    told = read(tmp_path, lost + lines("Diverged at iteration 45: chance level"))
    assert told.divergences == [Divergence(45, "chance level")]


def test_the_half_line_of_a_killed_run(tmp_path: Path) -> None:
    whole = step(0) + lines("Iteration 20, lr = 0.0966667")
    log = read(tmp_path, whole[:-4])  # "0.0966" would read well
    assert log.ends_in_half_a_line
    assert list(log.rate.iterations) == [0]
    # The next run's first line then stands on the same line.
    log = read(tmp_path, whole[:-4] + step(0, 2.0) + step(20, 2.0))
    assert not log.ends_in_half_a_line
    assert pairs(log.loss) == [(0, 2.0), (20, 2.0)]


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    text = step(0) + lines("Iteration 20, loss = much") + lines("    Test net output #0: accuracy = 0.5")
    log = read(tmp_path, text)
    assert log.unparsed_count == 2  # the second belongs to no test
    assert [number for number, _ in log.unparsed] == [3, 4]
    assert log.tests == {}


def test_several_numbers_of_one_output(tmp_path: Path) -> None:
    one_test = lines(
        "Iteration 0, Testing net (#0)",
        "    Test net output #0: accuracy = 0.5",
        "    Test net output #1: per_class = 0.25",
        "    Test net output #2: per_class = nan",
    )
    outputs = read(tmp_path, one_test).tests[0]
    assert list(outputs) == ["accuracy", "per_class", "per_class[1]"]
    assert outputs["per_class"].values[0] == 0.25
    assert math.isnan(outputs["per_class[1]"].values[0])


def test_bytes_that_are_no_utf8_and_endless_lines(tmp_path: Path) -> None:
    log = read(tmp_path, b"\xff\xfe\x00junk\n" + b"x" * 200_000 + b"\n" + step(0).encode())
    assert pairs(log.loss) == [(0, 1.0)]


@pytest.mark.parametrize(
    ("text", "what"),
    [(b"", "is empty"), (b"hello\nworld\n", "no Caffe training log"), (b"\0" * 99, "no Caffe")],
)
def test_what_is_no_log(tmp_path: Path, text: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_log(tmp_path / "none.log")
    with pytest.raises(InputError, match="cannot be read"):
        read_log(tmp_path)


def test_solver_parameters_of_other_caffes() -> None:
    nvidia = (
        "base_lr: 0.5\nsolver_data_type: FLOAT\ntrain_state {\n  level: 0\n  new_field: 3\n}\nmax_iter: 7\n"
    )
    solver = parse_solver(nvidia)
    assert (solver.base_lr, solver.max_iter, solver.train_state.HasField("level")) == (0.5, 7, True)
    odd = parse_solver('base_lr: 0.5\nsnapshot_format: NONE\nmax_iter: 7\nnet_param {\n  name: "cut')
    assert (odd.base_lr, odd.max_iter) == (0.5, 7)


REAL_RUN = """
import json, os, sys
import caffe
os.chdir(sys.argv[1])
with open("net.prototxt", "w") as file:
    file.write('''name: "Tiny"
    layer { name: "data" type: "DummyData" top: "data" top: "label"
      dummy_data_param { shape { dim: 8 dim: 3 } shape { dim: 8 }
        data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
    layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
      inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 1 } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
    layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
      include { phase: TEST } }''')

def solver(rate):
    with open("solver.prototxt", "w") as file:
        file.write('''net: "net.prototxt" base_lr: %g lr_policy: "poly" power: 1 max_iter: 10 display: 1
        test_iter: 1 test_interval: 4 momentum: 0.9 snapshot: 4 snapshot_prefix: "tiny" random_seed: 3
        solver_mode: CPU''' % rate)
    return caffe.SGDSolver("solver.prototxt")

def steps(solver, count):
    seen = {"loss": [], "rate": [], "tests": {}}
    for iteration in range(solver.iter, solver.iter + count):
        seen["rate"].append(float(solver.lr))
        solver.step(1)
        seen["loss"].append(float(solver.net.blobs["loss"].data))
        if iteration % 4 == 0:
            blobs = solver.test_nets[0].blobs
            seen["tests"][iteration] = [float(blobs[name].data) for name in ("accuracy", "loss")]
    return seen

first = steps(solver(0.1), 7)
solver(0.1).solve("tiny_iter_4.solverstate")
os.dup2(os.open("diverged.log", os.O_WRONLY | os.O_CREAT), 2)
lost = solver(0.1)
lost.step(2)
lost.net.params["fc"][1].data[0] = float("nan")
lost.step(1)
print(json.dumps(first))
"""


def test_what_real_caffe_writes(tmp_path: Path, caffe_python: Path) -> None:
    """What pycaffe says of each step is what the log says, to the six digits it prints."""
    with (tmp_path / "caffe.log").open("wb") as stderr:
        done = subprocess.run(
            [caffe_python, "-c", REAL_RUN, tmp_path],
            env=os.environ | {"GLOG_logtostderr": "1", "GLOG_minloglevel": "0"},
            stdout=subprocess.PIPE, stderr=stderr, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0
    seen = json.loads(done.stdout.splitlines()[-1])
    text = (tmp_path / "caffe.log").read_text()
    first, mark, _ = text.partition("Restoring previous solver status")
    assert mark

    log = read(tmp_path, first)
    assert log.net_name == "Tiny"
    assert log.solver is not None and log.solver.lr_policy == "poly" and log.solver.max_iter == 10
    assert list(log.loss.iterations) == list(log.rate.iterations) == list(range(7))
    assert list(log.loss.values) == pytest.approx(seen["loss"], rel=1e-5)
    assert list(log.train_outputs["loss"].values) == pytest.approx(seen["loss"], rel=1e-5)
    assert seen["rate"][0] > 0
    assert list(log.rate.values)[1:] == pytest.approx(seen["rate"][1:], rel=1e-5)
    tested = {
        at: [log.tests[0][name].values[i] for name in ("accuracy", "loss")] for i, at in enumerate((0, 4))
    }
    assert tested == {int(at): pytest.approx(values, rel=1e-5) for at, values in seen["tests"].items()}

    whole = read(tmp_path, text)
    assert whole.restarts == [Restart(4, 6)]
    assert list(whole.loss.values[:4]) == list(log.loss.values[:4])
    assert list(whole.loss.iterations) == list(range(11)) and whole.done
    assert list(whole.tests[0]["accuracy"].iterations) == [0, 4, 8]
    assert [s.iteration for s in whole.snapshots if not s.is_solver_state] == [4, 8, 10]
    assert (whole.unparsed_count, whole.divergences, whole.losses) == (0, [], {"loss"})

    lost = read_log(tmp_path / "diverged.log")
    assert lost.unparsed_count == 0
    assert [d.iteration for d in lost.divergences] == [2]
