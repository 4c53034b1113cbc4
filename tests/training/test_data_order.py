"""Which batches are dropped when a run goes on or restarts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batchbrew.proto import caffe_pb2
from batchbrew.training.data_order import MAX_SKIPPED_IMAGES, TrainingData, training_data
from tests.training.conftest import TinyModel


def test_on_a_small_set_exactly_the_batches_read_so_far_are_dropped() -> None:
    # 50 records in batches of 8 repeat after lcm(50, 8) = 200 images = 25 batches.
    data = TrainingData(records=50, batch_size=8, batches_per_iteration=1)
    assert [data.batches_to_resume(read, seed=0) for read in (0, 3, 24, 25, 28)] == [0, 3, 24, 0, 3]


def test_on_a_large_set_the_nearest_batch_to_the_same_record_is_taken() -> None:
    data = TrainingData(records=1_281_167, batch_size=16, batches_per_iteration=16)
    # One epoch and 1,600 images: 80,073 batches are 1,281,168 images, so record 1,601 comes next.
    assert data.batches_to_resume(80_073 + 100, seed=0) == 100


def test_what_is_too_far_is_drawn_and_differs_between_seeds() -> None:
    data = TrainingData(records=1_281_167, batch_size=16, batches_per_iteration=16)
    assert data.batches_to_resume(40_000, seed=0, skipping_is_free=True) == 40_000
    drawn = {data.batches_to_resume(40_000, seed=seed) for seed in range(20)}
    assert len(drawn) > 15
    assert max(drawn) * 16 <= MAX_SKIPPED_IMAGES


@pytest.mark.parametrize("records", [1, 8, 16, 50])
def test_a_divergence_never_begins_at_record_0_of_the_same_order(records: int) -> None:
    data = TrainingData(records=records, batch_size=8, batches_per_iteration=1)
    assert all(data.batches_to_differ(0, seed) >= 1 for seed in range(20))


@pytest.mark.parametrize("batches_read", [3, 28])  # both at record 24
def test_a_divergence_never_goes_on_with_the_same_batches(batches_read: int) -> None:
    data = TrainingData(records=50, batch_size=8, batches_per_iteration=1)
    drawn = {data.batches_to_differ(batches_read, seed) for seed in range(50)}
    assert drawn == {1, 2, 4, 5}


def test_data_of_which_little_is_known_are_dropped_batch_by_batch() -> None:
    data = TrainingData(records=None, batch_size=100, batches_per_iteration=1)
    assert data.batches_to_resume(499, seed=0) == 499
    assert data.batches_to_resume(501, seed=0) <= 500
    drawn = {data.batches_to_differ(7, seed) for seed in range(2000)}
    assert 7 not in drawn
    assert {min(drawn), max(drawn)} == {1, 499}


def test_the_training_data_are_read_off_the_prototxt(tiny_model: Callable[..., TinyModel]) -> None:
    model = tiny_model("iter_size: 4", "max_iter: 10")
    solver = caffe_pb2.SolverParameter(net="train_val.prototxt", iter_size=4)
    assert training_data(solver, model.folder) == TrainingData(50, 8, 4)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ('type: "ImageData" image_data_param { batch_size: 4 shuffle: true }', None),  # by the seed
        ('type: "ImageData" image_data_param { batch_size: 4 }', TrainingData(None, 4, 1)),
        ('type: "HDF5Data" hdf5_data_param { batch_size: 5 }', TrainingData(None, 5, 1)),
        ('type: "Data" data_param { backend: LEVELDB batch_size: 6 }', TrainingData(None, 6, 1)),
        ('type: "Python"', TrainingData(None, 256, 1)),
    ],
)
def test_nets_that_read_no_lmdb(tmp_path: Path, layers: str, expected: TrainingData | None) -> None:
    (tmp_path / "net.prototxt").write_text(f'layer {{ name: "d" top: "d" {layers} }}')
    assert training_data(caffe_pb2.SolverParameter(net="net.prototxt"), tmp_path) == expected
