"""The log: the same lines as real Caffe's, of the same training."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.caffe import engine_log
from batchbrew.training.log import read_log

NET = """
name: "told"
layer { name: "data" type: "DummyData" top: "data" top: "label" include { phase: TRAIN } dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "constant" value: 0.5 } data_filler { type: "constant" value: 1 } } }
layer { name: "data" type: "DummyData" top: "data" top: "label" include { phase: TEST } dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 dim: 2 }
  data_filler { type: "constant" value: 0.25 } data_filler { type: "constant" value: 1 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
  inner_product_param { num_output: 3 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  inner_product_param { num_output: 3 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "c" type: "InnerProduct" bottom: "b" top: "c"
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "label" top: "loss" loss_weight: 0.5 }
layer { name: "extra" type: "Power" bottom: "a" top: "extra" include { phase: TEST stage: "more" }
  power_param { power: 2 } }
layer { name: "log" type: "Log" bottom: "b" top: "log" exclude { phase: TEST } log_param { scale: -1 } }
"""
SOLVER = """
net: "NET" test_iter: 2 test_iter: 1 test_interval: 4 test_state { stage: "more" } test_state { }
test_compute_loss: true base_lr: 0.05 lr_policy: "multistep" gamma: 1e-5 stepvalue: 3 max_iter: 8 display: 2
momentum: 0.9 snapshot: 4 snapshot_prefix: "PREFIX" clip_gradients: 0.3 average_loss: 3 iter_size: 2
"""
DEBUGGED = """
net: "NET" base_lr: 0.05 lr_policy: "fixed" max_iter: 2 display: 1 debug_info: true iter_size: 2
snapshot_format: HDF5 solver_type: NESTEROV test_iter: 2 test_interval: 1
"""
TRAIN = """
import sys, caffe
for solver in sys.argv[1:]:
    caffe.get_solver(solver).solve()
"""
PREFIX = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (\S+:\d+\] .*)", re.DOTALL)
PACE = re.compile(r"\(\S+ iter/s, \S+s/")
NUMBER = re.compile(r"-?(?:\d+\.?\d*(?:e[-+]\d+)?|nan|inf)")
# Other parts of Caffe, of no use to anybody: reasons why a rule is not met, HDF5's types, glog's own complaint.
UNTOLD = ("The NetState ", "Datatype class: ", "WARNING: Logging before")


def messages(text: str) -> list[str]:
    """A log's lines without times, process and pace."""
    lines = []
    for line in text.splitlines():
        match = PREFIX.fullmatch(line)
        shown = PACE.sub("(pace ", f"{match[1]} {match[2]}" if match else line)
        if not any(untold in shown for untold in UNTOLD):
            lines.append(shown)
    return lines


def numbers_in(line: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(line)]


def write(folder: Path, name: str, text: str) -> Path:
    (folder / "net.prototxt").write_text(NET)
    path = folder / f"{name}.prototxt"
    path.write_text(text.replace("NET", str(folder / "net.prototxt")).replace("PREFIX", str(folder / name)))
    return path


def test_the_lines_of_a_training_are_real_caffes(
    tmp_path: Path, caffe_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solvers = [write(tmp_path, "plain", SOLVER), write(tmp_path, "debugged", DEBUGGED)]
    done = subprocess.run(
        [caffe_python, "-c", TRAIN, *solvers], capture_output=True, text=True, timeout=60, env={}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    caffe.init_log()
    for solver in solvers:
        caffe.get_solver(solver).solve()
    ours, real = messages(capsys.readouterr().err), messages(done.stderr)
    assert len(real) > 500
    for mine, theirs in zip(ours, real, strict=False):
        assert NUMBER.sub("#", mine) == NUMBER.sub("#", theirs)
        np.testing.assert_allclose(
            numbers_in(mine), numbers_in(theirs), rtol=2e-5, err_msg=f"{mine}\n{theirs}"
        )
    assert len(ours) == len(real)


def test_our_reader_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    caffe.init_log()
    caffe.get_solver(write(tmp_path, "plain", SOLVER)).solve()
    (tmp_path / "log").write_text(capsys.readouterr().err)
    log = read_log(tmp_path / "log")
    assert (log.net_name, log.done, log.unparsed_count) == ("told", True, 0)
    assert list(log.loss.iterations) == [0, 2, 4, 6, 8]
    assert list(log.rate.values) == [0.05, 0.05, 5e-7, 5e-7]
    assert [len(test["loss"]) for test in log.tests.values()] == [3, 3]
    assert [(s.iteration, s.is_solver_state) for s in log.snapshots] == [
        (4, False),
        (4, True),
        (8, False),
        (8, True),
    ]


def test_lines_have_a_pace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    caffe.init_log()
    solver = caffe.get_solver(write(tmp_path, "plain", SOLVER.replace("snapshot: 4", "")))
    solver.step(2)
    solver.step(1)
    paces = re.findall(r"Iteration (\d) \((\S+) iter/s, (\S+)s/2 iters\)", capsys.readouterr().err)
    (zero, none, _), (two, rate, seconds) = paces
    assert (zero, none, two) == ("0", "0", "2")
    assert float(rate) * float(seconds) == pytest.approx(2, rel=1e-4)


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    for level, written in ((0, "IWE"), (1, "WE"), (2, "E"), (3, "")):
        caffe.init_log(level)
        engine_log.info("net.cpp:1", "a")
        engine_log.warning("net.cpp:2", "b")
        engine_log.error("net.cpp:3", "c")
        assert "".join(line[0] for line in capsys.readouterr().err.splitlines()) == written


def test_a_message_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    caffe.init_log(0, True)
    caffe.log("hello\nthere\n")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ _caffe\.cpp:68\] hello", first)
    assert second == "there"


def test_other_solvers_than_the_first_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    caffe.init_log()
    caffe.set_solver_count(2)
    try:
        caffe.set_solver_rank(1)
        engine_log.info("net.cpp:1", "a")
    finally:
        caffe.set_solver_rank(0)
        caffe.set_solver_count(1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1"), (0.00001, "1e-05"), (1234567.0, "1.23457e+06"), (123456.0, "123456"),
        (float("inf"), "inf"), (-float("inf"), "-inf"), (float("nan"), "nan"), (-float("nan"), "-nan"),
        (np.float32(0.1), "0.1"), (87.33654, "87.3365"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_c_writes_them(value: float, text: str) -> None:
    assert engine_log.number(value) == text
