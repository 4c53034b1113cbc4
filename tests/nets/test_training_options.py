"""Options of training that a solver type or a policy brings with it, from the command line to the solver."""

from pathlib import Path

import pytest

from batchbrew.nets.command import main
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def generate(*options: str) -> int:
    return main(
        "resnet",
        ["--depth", "10", "--train", "train_lmdb", "--val", "val_lmdb", "--out", "r10", *options],
        prog="generate_resnet.py",
    )


def solver() -> pb.SolverParameter:
    return read_prototxt("r10/solver.prototxt", pb.SolverParameter)


def test_a_policy_and_its_parameters_arrive() -> None:
    assert generate("--lr-policy", "multistep", "--gamma", "0.1", "--stepvalue", "5", "--stepvalue", "9") == 0
    assert (solver().lr_policy, list(solver().stepvalue)) == ("multistep", [5, 9])
    assert solver().gamma == pytest.approx(0.1)
    assert generate("--lr-policy", "step", "--gamma", "0.5", "--step-epochs", "30") == 0
    assert (solver().lr_policy, solver().gamma, solver().stepsize) == ("step", 0.5, 150_000)
    assert generate("--lr-policy", "inv", "--gamma", "0.5", "--power", "-1", "--iterations", "10") == 0
    assert (solver().lr_policy, solver().power, solver().max_iter) == ("inv", -1, 10)
    header = Path("r10/solver.prototxt").read_text()
    assert "# Learning rate: 0.1 x (1 + 0.5 x iteration)^1: 0.35 half-way, 0.55 at the end." in header


def test_intervals_in_epochs_arrive() -> None:
    assert generate("--test-epochs", "2", "--snapshot-epochs", "4") == 0
    assert (solver().test_interval, solver().snapshot) == (10_000, 20_000)


def test_a_solver_type_and_its_numbers_arrive() -> None:
    assert (
        generate("--solver-type", "Adam", "--base-lr", "0.001", "--momentum2", "0.75", "--delta", "0.125")
        == 0
    )
    made = solver()
    assert (made.type, made.momentum2, made.delta) == ("Adam", 0.75, 0.125)
    assert made.momentum == pytest.approx(0.9)
    assert generate("--solver-type", "RMSProp", "--base-lr", "0.001", "--rms-decay", "0.5") == 0
    assert (solver().rms_decay, solver().HasField("momentum")) == (0.5, False)
    assert generate("--solver-type", "Nesterov") == 0
    assert solver().base_lr == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--solver-type", "Adam"], "--solver-type Adam needs --base-lr: the default, 0.1, is for SGD"),
        (["--solver-type", "AdaGrad", "--base-lr", "1", "--momentum", "0.5"], "AdaGrad takes no momentum"),
        (["--lr-policy", "step", "--gamma", "0.1"], 'lr_policy "step" needs stepsize'),
        (["--gamma", "0.1"], 'lr_policy "poly" takes no gamma'),
    ],
)
def test_what_does_not_fit_is_refused(options: list[str], message: str, capsys: Capture) -> None:
    assert generate(*options) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "twice",
    [
        ("--test-interval", "--test-epochs"),
        ("--snapshot", "--snapshot-epochs"),
        ("--stepsize", "--step-epochs"),
        ("--stepvalue", "--step-epochs"),
        ("--epochs", "--iterations"),
    ],
)
def test_one_thing_in_two_units_is_refused(twice: tuple[str, str], capsys: Capture) -> None:
    assert generate(twice[0], "1", twice[1], "1") == 2
    assert f"{twice[1]}: not allowed with argument {twice[0]}" in capsys.readouterr().err
