"""Hostile solvers and states, and what is said of each."""

from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe import memory_limit
from batchbrew.caffe.solving.solver import Solver
from batchbrew.caffe.solving.solvers import get_solver
from batchbrew.errors import EngineError, InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.blobs import array_blob
from tests.caffe.written_nets import TRAINED, layer

LARGEST_INT = 2**31 - 1
SOLVER = "net: 'net.prototxt' base_lr: 1 lr_policy: 'fixed' max_iter: 2 "
LEARNING = TRAINED + layer("Reduction", "loss_weight: 1", "y", "loss", name="loss")


def solver(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Solver:
    monkeypatch.chdir(folder)
    (folder / "net.prototxt").write_text(LEARNING)
    (folder / "solver.prototxt").write_text(text)
    return get_solver("solver.prototxt")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SOLVER + "test_iter: 0 test_interval: 1", "test_iter of test net 0 must be at least 1, not 0"),
        (SOLVER + "iter_size: 0", "iter_size must be at least 1, not 0"),
        (SOLVER + "average_loss: -5", "average_loss must be at least 1, not -5"),
        (SOLVER + "type: 'Best'", "solver type 'Best' is unknown"),
        (
            f"net: '{'n' * 5000}' base_lr: 1 lr_policy: 'fixed'",
            r"names the net n+ \.\.\. n+.*which is not there",
        ),
        (SOLVER + "base_lr: 2", "base_lr is given twice"),
    ],
)
def test_solvers(text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=complaint):
        solver(tmp_path, text, monkeypatch)


def test_what_a_solver_remembers_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """9 numbers to learn, a gradient and 2 histories for each."""
    monkeypatch.setattr(memory_limit, "available_bytes", lambda: 4 * 9 * 3 - 1)
    with pytest.raises(InputError, match=r"solver\.prototxt: 9 numbers are to be learned: the net takes"):
        solver(tmp_path, SOLVER + "type: 'Adam'", monkeypatch)


def test_an_update_beyond_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = solver(tmp_path, SOLVER, monkeypatch)

    def exhausted(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(training._updater, "apply", exhausted)
    with pytest.raises(EngineError, match="the update of iteration 0 needs more memory than there is"):
        training.step(1)


def test_large_numbers_of_adam_are_infinite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = solver(tmp_path, SOLVER + "type: 'Adam' momentum: 9 momentum2: 1e30", monkeypatch)
    training.iter = 2000
    training.step(1)
    assert training.iter == 2001


@pytest.mark.parametrize("iterations", [1, 2**40])
def test_more_iterations_than_an_int_counts(
    iterations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = solver(tmp_path, SOLVER, monkeypatch)
    training.iter = LARGEST_INT
    with pytest.raises(InputError, match="Caffe counts up to 2,147,483,647"):
        training.step(iterations)


@pytest.mark.parametrize("learned_net", ["gone.caffemodel", "n" * 5000, "a\0b", "net.prototxt", "."])
def test_a_state_whose_weights_are_none(
    learned_net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = solver(tmp_path, SOLVER, monkeypatch)
    history = [array_blob(np.ones(blob.shape, np.float32)) for blob in training._updater.history]
    state = pb.SolverState(iter=5, learned_net=learned_net, history=history)
    (tmp_path / "bad.solverstate").write_bytes(state.SerializeToString())
    with pytest.raises(InputError, match=r"which are not there|is text, a prototxt perhaps|is a folder"):
        training.restore("bad.solverstate")
    assert training.iter == 0
    assert not any(blob.data.any() for blob in training._updater.history)
