"""Snapshots: a run goes on in the other engine as if nothing had happened; files that are none are refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.caffe.solving.solver import Solver
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import read_binary, write_binary
from batchbrew.proto.blobs import array_blob, blob_array, blob_diff
from tests.caffe.solving.training_cases import (
    Arrays,
    Training,
    assert_close,
    in_ours,
    in_real_caffe,
    write_training,
)
from tests.caffe.solving.training_probe import draw_weights

FORMATS = ["BINARYPROTO", "HDF5"]
CASES = [(type_, format_) for type_ in ("SGD", "Adam") for format_ in FORMATS]
FIRST, SECOND, LAST = 8, 16, 24


def of_format(folder: Path, type_: str, format_: str) -> Training:
    return write_training(
        folder / f"{type_}{format_}", f"{type_}{format_}", 3, type_, f"snapshot_format: {format_}"
    )


def state_of(training: Training) -> Path:
    suffix = ".h5" if training.name.endswith("HDF5") else ""
    return training.solver.with_name(f"s_iter_{training.until}.solverstate{suffix}")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, caffe_python: Path) -> dict[str, tuple[Arrays, Arrays]]:
    """By case: weights at the end of real Caffe's uninterrupted run, and of real, ours, real, a third each."""
    caffe.init_log(3)
    folder = tmp_path_factory.mktemp("snapshots")
    trainings = [of_format(folder, *case) for case in CASES]
    whole = [replace(t, name=f"{t.name}-whole") for t in trainings]
    first = [replace(t, until=FIRST) for t in trainings]
    started = in_real_caffe(caffe_python, folder, [*whole, *first])
    for before in first:
        in_ours(replace(before, until=SECOND, resume=state_of(before)))
    last = [replace(t, until=LAST, resume=state_of(replace(t, until=SECOND))) for t in trainings]
    ended = in_real_caffe(caffe_python, folder, last)
    return {t.name: (started[f"{t.name}-whole"], ended[t.name]) for t in trainings}


@pytest.mark.parametrize(("type_", "format_"), CASES)
def test_a_run_goes_on_from_real_caffe_to_ours_and_back(
    type_: str, format_: str, runs: dict[str, tuple[Arrays, Arrays]]
) -> None:
    whole, in_turns = runs[type_ + format_]
    assert_close(in_turns, whole, 1e-5)


@pytest.mark.parametrize("format_", FORMATS)
def test_ours_goes_on_bit_by_bit(format_: str, tmp_path: Path) -> None:
    training = of_format(tmp_path, "Nesterov", format_)
    whole = in_ours(training)
    before = replace(training, until=FIRST)
    in_ours(before)
    again = in_ours(replace(training, resume=state_of(before)))
    assert_close(again, whole, 0)


def solver_in(folder: Path, type_: str = "Adam", format_: str = "BINARYPROTO", more: str = "") -> Solver:
    training = write_training(folder, "t", 3, type_, f"snapshot_format: {format_} {more}")
    solver = caffe.get_solver(training.solver)
    draw_weights(solver.net)
    for name in solver.net.inputs:
        solver.net.blobs[name].data[...] = np.random.default_rng(1).random(solver.net.blobs[name].shape)
    solver.step(1)
    return solver


def test_what_a_state_names(tmp_path: Path) -> None:
    solver = solver_in(tmp_path)
    solver.snapshot()
    state = read_binary(tmp_path / "s_iter_1.solverstate", pb.SolverState)
    assert (state.iter, state.learned_net) == (1, f"{tmp_path}/s_iter_1.caffemodel")
    assert state.HasField("current_step")
    assert len(state.history) == 2 * len(solver.net.learnable_params)


def test_text_in_an_hdf5_state_ends_with_a_zero(tmp_path: Path) -> None:
    """Caffe reads it as C does, into a buffer as large as the type."""
    solver = solver_in(tmp_path, format_="HDF5")
    solver.snapshot()
    name = f"{tmp_path}/s_iter_1.caffemodel.h5"
    with h5py.File(tmp_path / "s_iter_1.solverstate.h5") as file:
        assert file["learned_net"][()] == name.encode()
        assert file["learned_net"].dtype.itemsize == len(name) + 1


@pytest.mark.parametrize("format_", FORMATS)
def test_gradients_are_written_if_asked_for(format_: str, tmp_path: Path) -> None:
    solver = solver_in(tmp_path, format_=format_, more="snapshot_diff: true")
    solver.snapshot()
    diff = solver.net.params["b"][0].diff
    assert diff.any()
    if format_ == "HDF5":
        with h5py.File(tmp_path / "s_iter_1.caffemodel.h5") as file:
            np.testing.assert_array_equal(file["diff/b/0"][...], diff)
    else:
        model = read_binary(tmp_path / "s_iter_1.caffemodel", pb.NetParameter)
        (layer,) = (each for each in model.layer if each.name == "b")
        np.testing.assert_array_equal(blob_diff(layer.blobs[0]), diff)


def everything_in(solver: Solver) -> list[np.ndarray]:
    blobs = [*(each.blob for each in solver.net.learnable_params), *solver._updater.history]
    return [np.array([solver.iter]), *(blob.data.copy() for blob in blobs)]


def assert_refused(solver: Solver, path: Path, *said: str) -> None:
    """Restoring fails with one line, and nothing has changed."""
    before = everything_in(solver)
    with pytest.raises(InputError) as refused:
        solver.restore(path)
    for each in said:
        assert each in str(refused.value)
    assert "\n" not in str(refused.value)
    for was, now in zip(before, everything_in(solver), strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize("format_", FORMATS)
def test_states_of_others_are_refused(format_: str, tmp_path: Path) -> None:
    solver = solver_in(tmp_path / "adam", format_=format_)
    other = solver_in(tmp_path / "sgd", "SGD", format_)
    other.snapshot()
    suffix = ".h5" if format_ == "HDF5" else ""
    state = tmp_path / "sgd" / f"s_iter_1.solverstate{suffix}"
    count = len(solver.net.learnable_params)
    assert_refused(solver, state, f"holds {count} history blobs", f"have {2 * count}")


def test_a_history_of_another_shape_is_refused(tmp_path: Path) -> None:
    solver = solver_in(tmp_path)
    solver.snapshot()
    path = tmp_path / "s_iter_1.solverstate"
    state = read_binary(path, pb.SolverState)
    state.history[0].CopyFrom(array_blob(np.zeros((5, 4))))
    write_binary(path, state)
    assert_refused(solver, path, "history blob 0 is 5×4", "5×5")


def test_a_history_with_four_axes_is_taken(tmp_path: Path) -> None:
    solver = solver_in(tmp_path)
    solver.snapshot()
    path = tmp_path / "s_iter_1.solverstate"
    state = read_binary(path, pb.SolverState)
    old = pb.BlobProto(
        num=1, channels=1, height=5, width=5, data=blob_array(state.history[0]).reshape(-1) + 1
    )
    before = solver._updater.history[0].data.copy()
    state.history[0].CopyFrom(old)
    write_binary(path, state)
    solver.restore(path)
    np.testing.assert_array_equal(solver._updater.history[0].data, before + 1)


def test_weights_that_are_gone_are_named(tmp_path: Path) -> None:
    solver = solver_in(tmp_path)
    solver.snapshot()
    (tmp_path / "s_iter_1.caffemodel").unlink()
    assert_refused(solver, tmp_path / "s_iter_1.solverstate", "s_iter_1.caffemodel", "not there")


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_damaged_files_are_refused(suffix: str, tmp_path: Path) -> None:
    solver = solver_in(tmp_path, format_="HDF5" if suffix else "BINARYPROTO")
    solver.snapshot()
    path = tmp_path / f"s_iter_1.solverstate{suffix}"
    whole = path.read_bytes()
    for damaged in (b"", b"junk" * 50, whole[: len(whole) // 2], whole[:-9]):
        path.write_bytes(damaged)
        assert_refused(solver, path, str(path))
    path.unlink()
    assert_refused(solver, path, str(path), "not there")


def test_an_hdf5_state_without_its_parts_is_refused(tmp_path: Path) -> None:
    solver = solver_in(tmp_path, format_="HDF5")
    solver.snapshot()
    path = tmp_path / "s_iter_1.solverstate.h5"
    whole = path.read_bytes()
    for part in ("iter", "current_step", "history", "history/0"):
        path.write_bytes(whole)
        with h5py.File(path, "a") as file:
            del file[part]
        assert_refused(solver, path, part.split("/")[0])
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        del file["history/0"]
        file.create_dataset("history/0", (1 << 30,), "f4", chunks=(1024,))  # 4 GB, of which none are there
    assert_refused(solver, path, "more than the file")


def test_a_missing_folder_leaves_training_as_it_is(tmp_path: Path) -> None:
    solver = solver_in(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(InputError, match="its folder is not there"):
        solver.snapshot()
    solver.step(1)
    (tmp_path / "run").mkdir()
    solver.snapshot()
    assert (tmp_path / "run" / "s_iter_2.solverstate").exists()


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = solver_in(tmp_path)
    before = everything_in(solver)
    monkeypatch.setattr("batchbrew.atomic.os.fsync", _full)
    with pytest.raises(InputError, match=r"s_iter_1.caffemodel cannot be written: No space left"):
        solver.snapshot()
    assert not list(tmp_path.glob("*s_iter_1*"))
    for was, now in zip(before, everything_in(solver), strict=True):
        np.testing.assert_array_equal(now, was)


def _full(handle: int) -> None:
    raise OSError(28, "No space left on device")
