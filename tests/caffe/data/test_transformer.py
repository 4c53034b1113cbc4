"""Crops and mirrors: true ones, everywhere alike, by chance in TRAIN phase."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe import mode
from batchbrew.caffe.data.normalisation import read_mean
from batchbrew.caffe.data.pixel_batch import PixelBatch
from batchbrew.caffe.data.transformer import DataTransformer
from batchbrew.dataset.images import ImageError
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import write_binary
from batchbrew.proto.blobs import array_blob

IMAGE = np.arange(6 * 7 * 2, dtype=np.uint8).reshape(6, 7, 2)  # H×W×C; every pixel tells where it was
CHANNELS_FIRST = IMAGE.transpose(2, 0, 1).astype(np.float32)


def transformed(
    param: pb.TransformationParameter, phase: int, images: int, batch: int = 0
) -> list[NDArray[np.float32]]:
    transformer = DataTransformer(param, phase)
    pixels = PixelBatch((images, *transformer.shape(IMAGE)), IMAGE, transformer)
    for item, draw in enumerate(transformer.draws(batch, images)):
        pixels.put(item, IMAGE, draw)
    return list(pixels.tensor().numpy())


def place(crop: NDArray[np.float32]) -> tuple[int, int, bool]:
    """Row, column and whether it is mirrored; fails if it is no true crop of the image."""
    side = crop.shape[1]
    mirrored = bool(crop[0, 0, 0] > crop[0, 0, 1])
    upright = crop[:, :, ::-1] if mirrored else crop
    row, column = divmod(int(upright[0, 0, 0]) // 2, 7)
    assert np.array_equal(upright, CHANNELS_FIRST[:, row : row + side, column : column + side])
    return row, column, mirrored


def test_in_training_every_place_and_both_sides_are_as_likely() -> None:
    mode.set_random_seed(0)
    param = pb.TransformationParameter(crop_size=4, mirror=True)
    counts = Counter(place(crop) for crop in transformed(param, pb.TRAIN, 4800))
    assert len(counts) == 3 * 4 * 2  # 6 - 4 + 1 rows, 7 - 4 + 1 columns
    chi_squared = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_squared < 49.7  # 23 degrees of freedom: more by chance once in a thousand


def test_batches_of_one_seed_differ_and_can_be_repeated() -> None:
    mode.set_random_seed(1)
    transformer = DataTransformer(pb.TransformationParameter(mirror=True), pb.TEST)
    first, second = transformer.draws(0, 5), transformer.draws(1, 5)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, transformer.draws(0, 5))
    other = DataTransformer(pb.TransformationParameter(mirror=True), pb.TEST)
    assert not np.array_equal(first, other.draws(0, 5))
    mode.set_random_seed(1)
    again = DataTransformer(pb.TransformationParameter(mirror=True), pb.TEST)
    assert np.array_equal(first, again.draws(0, 5))


def test_in_testing_the_crop_is_in_the_middle_and_mirroring_by_chance() -> None:
    mode.set_random_seed(2)
    param = pb.TransformationParameter(crop_size=4, mirror=True)
    assert {place(crop)[:2] for crop in transformed(param, pb.TEST, 30)} == {
        (1, 1)
    }  # of 3 columns too many, 1 left
    assert {place(crop)[2] for crop in transformed(param, pb.TEST, 30)} == {False, True}
    odd = pb.TransformationParameter(crop_size=3)
    assert place(transformed(odd, pb.TEST, 1)[0]) == (1, 2, False)


def test_without_mirror_nothing_is_mirrored() -> None:
    for phase in (pb.TRAIN, pb.TEST):
        crops = transformed(pb.TransformationParameter(crop_size=4), phase, 20)
        assert not any(place(crop)[2] for crop in crops)


def test_without_crop_and_mirror_no_random_number_is_taken() -> None:
    mode.set_random_seed(3)
    before = mode.random_generator().get_state()
    for phase in (pb.TRAIN, pb.TEST):
        assert np.array_equal(transformed(pb.TransformationParameter(), phase, 1)[0], CHANNELS_FIRST)
    transformed(pb.TransformationParameter(crop_size=2), pb.TEST, 1)
    assert bool((mode.random_generator().get_state() == before).all())


def test_the_mean_image_is_cropped_and_mirrored_with_the_image(tmp_path: Path) -> None:
    mean = np.random.default_rng(0).uniform(0, 9, (1, 2, 6, 7)).astype(np.float32)
    write_binary(tmp_path / "mean", array_blob(mean))
    param = pb.TransformationParameter(crop_size=4, mirror=True, scale=0.5, mean_file=str(tmp_path / "mean"))
    plain = pb.TransformationParameter(crop_size=4, mirror=True)
    mode.set_random_seed(4)
    crops = transformed(plain, pb.TRAIN, 20)
    mode.set_random_seed(4)
    for crop, lowered in zip(crops, transformed(param, pb.TRAIN, 20), strict=True):
        row, column, mirrored = place(crop)
        expected = (CHANNELS_FIRST - mean[0])[:, row : row + 4, column : column + 4] * np.float32(0.5)
        assert np.array_equal(lowered, expected[:, :, ::-1] if mirrored else expected)


def test_means_that_are_no_image(tmp_path: Path) -> None:
    for shape in ((3, 4, 4), (2, 3, 4, 4), (1, 1, 3, 4, 4)):
        write_binary(tmp_path / "mean", array_blob(np.zeros(shape, np.float32)))
        with pytest.raises(Refusal, match="one image is expected"):
            read_mean(str(tmp_path / "mean"))
    (tmp_path / "mean").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="mean"):
        read_mean(str(tmp_path / "mean"))


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ImageError, match="is 6 high and 7 wide, too small for crop_size 7"):
        DataTransformer(pb.TransformationParameter(crop_size=7), pb.TRAIN).shape(IMAGE)
    with pytest.raises(ImageError, match="has 2 channels, but there are 3 mean_value"):
        DataTransformer(pb.TransformationParameter(mean_value=[1, 2, 3]), pb.TRAIN).shape(IMAGE)
