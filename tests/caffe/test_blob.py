"""Blob and the memory behind it: numpy views that stay views, zeros that cost nothing, sharing."""

import gc

import numpy as np
import pytest
import torch

from batchbrew.caffe.blob import Blob, BlobVec
from batchbrew.errors import InputError


def test_a_new_blob_is_zero_in_data_and_diff() -> None:
    blob = Blob(2, 3)
    assert blob.shape == (2, 3) and blob.count == 6
    assert blob.data.dtype == np.float32 and not blob.data.any() and not blob.diff.any()


def test_what_is_written_to_a_view_is_what_layers_read() -> None:
    blob = Blob(2, 2)
    blob.data[...] = [[1, 2], [3, 4]]
    blob.diff[0, 1] = 7
    assert blob.data_tensor.tolist() == [[1, 2], [3, 4]]
    assert blob.diff_tensor.tolist() == [[0, 7], [0, 0]]


@pytest.mark.parametrize("part", ["data", "diff"])
def test_a_view_that_somebody_holds_follows_what_layers_assign(part: str) -> None:
    blob = Blob(2, 2)
    held = getattr(blob, part)
    row = held[1]  # numpy lets go of `held` itself: the row must keep the memory alive
    del held
    gc.collect()
    setattr(blob, f"{part}_tensor", torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert row.tolist() == [3, 4]
    row[0] = 9
    assert getattr(blob, f"{part}_tensor").tolist() == [[1, 2], [9, 4]]


def test_the_second_of_two_views_stays_live_when_the_first_is_let_go() -> None:
    blob = Blob(2)
    held = blob.data
    held = blob.data
    gc.collect()
    blob.data_tensor = torch.tensor([1.0, 2.0])
    assert held.tolist() == [1, 2]
    held[0] = 9
    assert blob.data_tensor.tolist() == [9, 2]


def test_without_a_view_an_assigned_tensor_is_taken_as_it_is() -> None:
    blob, tensor = Blob(2, 2), torch.ones(2, 2)
    blob.data_tensor = tensor
    assert blob.data_tensor.data_ptr() == tensor.data_ptr()


def test_views_are_in_caffes_order_whatever_the_strides() -> None:
    blob = Blob(1, 2, 2, 2)
    tensor = torch.arange(8.0).reshape(1, 2, 2, 2)
    blob.data_tensor = tensor.to(memory_format=torch.channels_last)
    assert not blob.data_tensor.is_contiguous()
    assert blob.data.flags.c_contiguous and blob.data.ravel().tolist() == list(range(8))
    blob.data[0, 1, 1, 1] = -1
    assert float(blob.data_tensor[0, 1, 1, 1]) == -1


def test_solvers_change_numbers_in_place_and_views_see_it() -> None:
    blob = Blob(3)
    held = blob.data
    blob.mutable_data().add_(2)
    assert held.tolist() == [2, 2, 2]
    blob.data_tensor = torch.arange(6.0).reshape(2, 3).T[:, 0]  # strided
    del held
    blob.mutable_data().mul_(2)
    assert blob.data.tolist() == [0, 2, 4]


def test_gradients_add_up_until_they_are_cleared() -> None:
    blob = Blob(2)
    assert blob.has_no_diff
    blob.add_diff(torch.tensor([1.0, 2.0]))
    blob.add_diff(torch.tensor([1.0, 2.0]))
    held = blob.diff
    assert held.tolist() == [2, 4]
    blob.clear_diff()
    assert held.tolist() == [0, 0]
    blob.add_diff(torch.tensor([5.0, 6.0]))
    assert held.tolist() == [5, 6]


def test_reshape_keeps_the_numbers_that_there_is_room_for() -> None:
    blob = Blob(2, 3)
    blob.data[...] = np.arange(6).reshape(2, 3)
    blob.reshape(3, 2)
    assert blob.data.tolist() == [[0, 1], [2, 3], [4, 5]]
    blob.reshape(4)
    assert blob.data.tolist() == [0, 1, 2, 3]
    blob.reshape(6)
    assert blob.data.tolist() == [0, 1, 2, 3, 4, 5]
    blob.reshape()
    assert blob.data.shape == () and blob.count == 1
    blob.reshape(7)
    assert blob.data.tolist() == [0] * 7


def test_what_is_written_through_a_view_survives_a_reshape() -> None:
    blob = Blob(3)
    held = blob.data
    blob.data_tensor = torch.ones(3)
    held[0] = 5
    blob.reshape(2)
    assert blob.data.tolist() == [5, 1]


def test_numbers_that_nobody_saw_are_not_carried_along() -> None:
    blob = Blob(4)
    blob.data_tensor = torch.ones(4)
    blob.reshape(2)
    blob.data[...] = [1, 2]
    blob.reshape(4)
    assert blob.data.tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize("shape", [(-1,), (2**31,), (70_000, 70_000), (1,) * 33])
def test_shapes_that_no_blob_has(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"axes at most|no blob has the shape"):
        Blob(*shape)


def test_shared_memory_is_one_whatever_the_shapes() -> None:
    one, other = Blob(2, 3), Blob(6)
    other.share_data(one)
    one.data[1, 2] = 5
    assert other.data.tolist() == [0, 0, 0, 0, 0, 5]
    other.data_tensor = torch.arange(6.0)
    assert one.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert other.diff is not one.diff and not one.diff.any()


def test_legacy_lengths() -> None:
    blob = Blob(2, 3, 4)
    assert (blob.num, blob.channels, blob.height, blob.width) == (2, 3, 4, 1)
    with pytest.raises(InputError, match="use shape"):
        _ = Blob(1, 1, 1, 1, 1).num


def test_blob_vectors_grow_as_python_layers_do_it() -> None:
    blobs = BlobVec()
    blobs.add_blob(2, 1)
    blobs.add_blob()
    assert [blob.shape for blob in blobs] == [(2, 1), ()]


def test_what_a_layer_keeps_is_not_changed_through_a_view_held_before() -> None:
    blob = Blob(2)
    held = blob.data
    held[...] = [1, 2]
    kept = blob.lasting_data
    blob.data_tensor = torch.tensor([3.0, 4.0])  # a layer in place
    held[0] = 5
    assert kept.tolist() == [1, 2] and blob.data_tensor.tolist() == [5, 4]


def test_what_a_layer_keeps_is_not_changed_through_a_view_made_later() -> None:
    blob = Blob(2)
    blob.data_tensor = torch.tensor([1.0, 2.0])
    kept = blob.lasting_data
    blob.data[0] = 9
    assert kept.tolist() == [1, 2] and blob.data_tensor.tolist() == [9, 2]


def test_keeping_copies_nothing_where_nobody_looks() -> None:
    blob = Blob(2)
    blob.data_tensor = torch.tensor([1.0, 2.0])
    assert blob.lasting_data.data_ptr() == blob.data_tensor.data_ptr()


@pytest.mark.parametrize("part", ["data", "diff"])
@pytest.mark.parametrize("written", ["one", "other"])
def test_a_copy_is_its_own_once_one_of_the_two_is_written_to(part: str, written: str) -> None:
    one, other = Blob(2), Blob(2)
    setattr(one, f"{part}_tensor", torch.tensor([1.0, 2.0]))
    getattr(other, f"copy_{part}")(one)
    assert getattr(other, f"{part}_tensor").data_ptr() == getattr(one, f"{part}_tensor").data_ptr()
    getattr(one if written == "one" else other, part)[0] = 9
    after = [getattr(blob, part)[0] for blob in (one, other)]
    assert after == ([9, 1] if written == "one" else [1, 9])


@pytest.mark.parametrize("viewed", ["one", "other"])
def test_a_copy_is_made_where_a_view_is_held(viewed: str) -> None:
    one, other = Blob(2), Blob(2)
    one.data_tensor = torch.tensor([1.0, 2.0])
    held = one.data if viewed == "one" else other.data
    other.copy_data(one)
    held[0] = 9
    assert [float(one.data[0]), float(other.data[0])] == ([9, 1] if viewed == "one" else [1, 9])
    assert held is not None and (other.data if viewed == "other" else one.data)[0] == 9


def test_solvers_do_not_change_a_copy() -> None:
    one, other = Blob(2), Blob(2)
    one.diff_tensor = torch.tensor([1.0, 2.0])
    other.copy_diff(one)
    other.mutable_diff().add_(1)
    one.mutable_diff().add_(2)
    assert one.diff.tolist() == [3, 4] and other.diff.tolist() == [2, 3]


def test_a_gradient_keeps_what_there_is_room_for() -> None:
    blob = Blob(2, 2)
    blob.diff[...] = [[1, 2], [3, 4]]
    blob.reshape(1, 2)
    assert blob.diff.tolist() == [[1, 2]]
    blob.reshape(3)
    assert blob.diff.tolist() == [1, 2, 3]
    blob.reshape(5)
    assert blob.diff.tolist() == [0, 0, 0, 0, 0]


def test_a_gradient_that_was_written_while_it_was_small_is_kept_too() -> None:
    blob = Blob(4)
    blob.reshape(2)
    blob.diff[...] = [1, 2]
    blob.reshape(3)
    assert blob.diff.tolist() == [1, 2, 0]
