"""Only whole, finite, known good snapshots are ever restored from."""

import json
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.training.snapshots import BadSnapshot, Snapshot, SnapshotLedger, set_learned_net


def write_pair(folder: Path, iteration: int, value: float = 1.0) -> tuple[Path, Path]:
    """A caffemodel and a solverstate such as Caffe writes."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = caffe_pb2.BlobShape(dim=[2])
    net = caffe_pb2.NetParameter(name="tiny")
    net.layer.add(name="ip", type="InnerProduct").blobs.add(shape=shape, data=[value, 2.0])
    state = caffe_pb2.SolverState(iter=iteration, learned_net="elsewhere.caffemodel", current_step=1)
    state.history.add(shape=shape, data=[0.5, 0.25])
    model_file, state_file = (
        folder / f"tiny_iter_{iteration}.{kind}" for kind in ("caffemodel", "solverstate")
    )
    model_file.write_bytes(net.SerializeToString())
    state_file.write_bytes(state.SerializeToString())
    return model_file, state_file


def publish(ledger: SnapshotLedger, iteration: int, value: float = 1.0) -> Snapshot:
    model, state = write_pair(ledger.new, iteration, value)
    return ledger.publish(iteration, model, state, loss=0.5, seed=1, batches_read=None)


@pytest.fixture
def ledger(tmp_path: Path) -> SnapshotLedger:
    return SnapshotLedger(tmp_path / "snapshots")


def test_published_snapshots_are_read_again_newest_first(ledger: SnapshotLedger) -> None:
    first, second = publish(ledger, 10), publish(ledger, 20)
    assert SnapshotLedger(ledger.folder).good() == [second, first]


def test_a_published_state_names_the_published_weights(ledger: SnapshotLedger) -> None:
    snapshot = publish(ledger, 10)
    state = caffe_pb2.SolverState.FromString((ledger.folder / snapshot.state).read_bytes())
    assert state.learned_net == str((ledger.folder / "tiny_iter_10.caffemodel").resolve())
    assert (state.iter, state.current_step, list(state.history[0].data)) == (10, 1, [0.5, 0.25])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_never_published(ledger: SnapshotLedger, value: float) -> None:
    with pytest.raises(BadSnapshot, match="holds nan or inf in ip"):
        publish(ledger, 10, value)
    assert ledger.good() == []
    assert not (ledger.folder / "tiny_iter_10.caffemodel").exists()


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("keep", [0, 1, -1])
def test_a_file_cut_short_is_never_published(ledger: SnapshotLedger, kind: int, keep: int) -> None:
    files = write_pair(ledger.new, 10)
    files[kind].write_bytes(files[kind].read_bytes()[:keep])
    with pytest.raises(BadSnapshot):
        ledger.publish(10, *files, loss=0.5, seed=1, batches_read=None)
    assert ledger.good() == []


def test_a_state_of_another_iteration_is_refused(ledger: SnapshotLedger) -> None:
    files = write_pair(ledger.new, 10)
    with pytest.raises(BadSnapshot, match="is of iteration 10, not 20"):
        ledger.publish(20, *files, loss=0.5, seed=1, batches_read=None)


def test_a_file_changed_after_it_was_published_is_not_restored_from(ledger: SnapshotLedger) -> None:
    snapshot = publish(ledger, 10)
    model = ledger.folder / snapshot.model
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(BadSnapshot, match="SHA-256"):
        ledger.restorable_state(snapshot)
    model.unlink()
    with pytest.raises(BadSnapshot, match="is gone"):
        ledger.restorable_state(snapshot)


def test_a_suspect_is_passed_over_until_it_is_taken_anew(ledger: SnapshotLedger) -> None:
    old, _ = publish(ledger, 10), publish(ledger, 20)
    ledger.mark_suspect(20, "diverged")
    assert SnapshotLedger(ledger.folder).good() == [old]
    again = publish(ledger, 20, value=3.0)
    assert SnapshotLedger(ledger.folder).good() == [again, old]


def test_what_a_killed_worker_left_half_written_does_not_count(ledger: SnapshotLedger) -> None:
    publish(ledger, 10)
    write_pair(ledger.folder, 20)  # moved to its place, but not yet in the ledger
    write_pair(ledger.new, 30)
    reopened = SnapshotLedger(ledger.folder)
    assert [snapshot.iteration for snapshot in reopened.good()] == [10]
    reopened.prepare_new()
    assert list(reopened.new.iterdir()) == []


def test_a_ledger_line_cut_short_is_dropped_and_the_next_one_is_whole(ledger: SnapshotLedger) -> None:
    publish(ledger, 10)
    path = ledger.folder / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    reopened = SnapshotLedger(ledger.folder)
    publish(reopened, 20)
    assert [snapshot.iteration for snapshot in SnapshotLedger(ledger.folder).good()] == [20, 10]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_line_that_is_no_ledger_line_is_named(ledger: SnapshotLedger) -> None:
    publish(ledger, 10)
    path = ledger.folder / "ledger.jsonl"
    path.write_text(path.read_text() + "what is this\n")
    with pytest.raises(InputError, match=r"ledger.jsonl:2 is not a line of a snapshot ledger"):
        SnapshotLedger(ledger.folder)


def test_a_moved_run_folder_restores_from_its_own_weights(ledger: SnapshotLedger, tmp_path: Path) -> None:
    publish(ledger, 10)
    moved = ledger.folder.rename(tmp_path / "moved")
    reopened = SnapshotLedger(moved)
    state = reopened.restorable_state(reopened.good()[0])
    read = caffe_pb2.SolverState.FromString(state.read_bytes())
    assert read.learned_net == str((moved / "tiny_iter_10.caffemodel").resolve())


def test_caffes_own_parser_takes_the_appended_name(tmp_path: Path, run_caffe) -> None:  # type: ignore[no-untyped-def]
    _, state = write_pair(tmp_path, 10)
    set_learned_net(state, tmp_path / ("long" * 60 + ".caffemodel"))
    code = """
import json, sys
from caffe.proto import caffe_pb2
state = caffe_pb2.SolverState.FromString(open(sys.argv[1], "rb").read())
print(json.dumps([state.learned_net, state.iter, list(state.history[0].data)]))
"""
    assert run_caffe(code, state) == [str(tmp_path / ("long" * 60 + ".caffemodel")), 10, [0.5, 0.25]]


def test_files_that_were_cut_between_two_fields_are_never_published(ledger: SnapshotLedger) -> None:
    model, state = write_pair(ledger.new, 10)
    with pytest.raises(BadSnapshot, match="cut short: it holds 2 of 3 numbers"):
        ledger.publish(10, model, state, loss=0.5, seed=1, batches_read=None, parameters=3)
    shorter = caffe_pb2.SolverState.FromString(state.read_bytes())
    shorter.ClearField("current_step")  # which Caffe writes last
    state.write_bytes(shorter.SerializeToString())
    with pytest.raises(BadSnapshot, match="cut short: it holds no current_step"):
        ledger.publish(10, model, state, loss=0.5, seed=1, batches_read=None, parameters=2)
    assert ledger.good() == []


def test_divergences_are_remembered_until_their_snapshot_is_taken_anew(ledger: SnapshotLedger) -> None:
    publish(ledger, 20)
    ledger.note_divergence(20, 25)
    ledger.note_divergence(20, 40)
    again = SnapshotLedger(ledger.folder)
    assert [again.diverged_after(iteration) for iteration in (0, 20, 40, 41)] == [True, True, True, False]
    assert (again.divergences_from(20), again.divergences_from(0)) == (2, 0)
    publish(again, 20, value=3.0)
    assert again.divergences_from(20) == 0
