"""Every solver type against real Caffe: weights, updates and history after some iterations."""

from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe.solving.update_rules import RULES
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary
from batchbrew.proto.blobs import blob_array
from tests.caffe.solving.training_cases import (
    ITERATIONS,
    Arrays,
    Training,
    assert_close,
    in_ours,
    in_real_caffe,
    write_training,
)

CASES = [(type_, seed) for type_ in RULES for seed in range(3)]
WEIGHTS, UPDATES = 1e-6, 1e-5  # an update is as good as the gradient that it is of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("solvers")


def training(folder: Path, type_: str, seed: int) -> Training:
    return write_training(folder / f"{type_}{seed}", f"{type_}{seed}", seed, type_)


@pytest.fixture(scope="module")
def real(folder: Path, caffe_python: Path) -> dict[str, Arrays]:
    """What real Caffe has after each training; its snapshots are in the trainings' folders."""
    trainings = [training(folder / "real", type_, seed) for type_, seed in CASES]
    return in_real_caffe(caffe_python, folder, trainings)


def only(which: str, arrays: Arrays) -> Arrays:
    return {name: array for name, array in arrays.items() if name.endswith(which)}


def state_in(folder: Path) -> tuple[tuple[int, int], Arrays]:
    state = read_binary(folder / f"s_iter_{ITERATIONS}.solverstate", pb.SolverState)
    history = {str(i): np.asarray(blob_array(blob), np.float32) for i, blob in enumerate(state.history)}
    return (state.iter, state.current_step), history


@pytest.mark.parametrize(("type_", "seed"), CASES)
def test_it_trains_as_real_caffe_does(type_: str, seed: int, folder: Path, real: dict[str, Arrays]) -> None:
    ours = in_ours(training(folder / "ours", type_, seed))
    name = f"{type_}{seed}"
    assert_close(only("data", ours), only("data", real[name]), WEIGHTS)
    assert_close(only("diff", ours), only("diff", real[name]), UPDATES)
    counts, history = state_in(folder / "ours" / name)
    expected_counts, expected = state_in(folder / "real" / name)
    assert counts == expected_counts
    assert_close(history, expected, UPDATES)
