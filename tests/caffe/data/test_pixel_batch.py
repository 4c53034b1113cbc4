"""Images put into a batch: as they lie, cut out, mirrored, and made numbers by the same formula as one by one."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from batchbrew.caffe import mode
from batchbrew.caffe.data.pixel_batch import PixelBatch, copy
from batchbrew.caffe.data.transformer import DataTransformer, Draw, Pixels
from batchbrew.proto import caffe_pb2 as pb

PARAM = pb.TransformationParameter(crop_size=5, mirror=True, scale=0.3)


def decoded(seed: int, channels: int = 3, height: int = 7, width: int = 9) -> Pixels:
    """As OpenCV gives it."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def raw(seed: int, channels: int = 3, height: int = 7, width: int = 9) -> Pixels:
    """As a Datum holds it."""
    numbers = np.random.default_rng(seed).integers(0, 256, (channels, height, width), np.uint8)
    return numbers.transpose(1, 2, 0)


def floats(seed: int, channels: int = 3, height: int = 7, width: int = 9) -> Pixels:
    numbers = np.random.default_rng(seed).normal(0, 9, (channels, height, width)).astype(np.float32)
    return numbers.transpose(1, 2, 0)


def by_hand(image: Pixels, draw: Draw) -> Pixels:
    """Crop of 5, mirrored by the first number, scaled; C×H×W."""
    height, width = image.shape[:2]
    top, left = int(draw[1]) % (height - 4), int(draw[2]) % (width - 4)
    crop = image[top : top + 5, left : left + 5].astype(np.float32)
    crop = crop[:, ::-1] if draw[0] & 1 else crop
    return (crop * np.float32(0.3)).transpose(2, 0, 1)


def filled(images: list[Pixels], transformer: DataTransformer) -> PixelBatch:
    batch = PixelBatch((len(images), *transformer.shape(images[0])), images[0], transformer)
    for item, (image, draw) in enumerate(zip(images, transformer.draws(0, len(images)), strict=True)):
        batch.put(item, image, draw)
    return batch


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", [decoded, raw, floats])
def test_all_kinds_of_images(kind: Callable[..., Pixels], channels: int) -> None:
    mode.set_random_seed(channels)
    transformer = DataTransformer(PARAM, pb.TRAIN)
    images = [kind(seed, channels, 6 + seed % 3, 9 - seed % 2) for seed in range(12)]
    found = filled(images, transformer).tensor()
    assert found.dtype == torch.float32
    assert found.shape == (12, channels, 5, 5)
    for number, image, draw in zip(found.numpy(), images, transformer.draws(0, 12), strict=True):
        assert np.array_equal(number, by_hand(image, draw))
    if channels > 1:
        last = torch.channels_last if kind is decoded else torch.contiguous_format
        assert found.is_contiguous(memory_format=last)


@pytest.mark.parametrize(
    "images",
    [
        [decoded(1), floats(2), raw(3)],
        [raw(1), decoded(2), floats(3), decoded(4)],
        [floats(1), decoded(2), raw(3)],
    ],
)
def test_kinds_in_one_batch(images: list[Pixels]) -> None:
    transformer = DataTransformer(PARAM, pb.TRAIN)
    found = filled(images, transformer).tensor().numpy()
    for number, image, draw in zip(found, images, transformer.draws(0, len(images)), strict=True):
        assert np.array_equal(number, by_hand(image, draw))


def test_what_is_written_into_a_slot_is_that_slot_alone() -> None:
    image = decoded(1, 3, 300, 400)
    for kind, crop in (("whole", image), ("part", image[3:231, 20:244])):
        slots = np.full((3, *crop.shape), 7, np.uint8)
        copy(crop, slots[1], mirrored=True)
        assert np.array_equal(slots[1], crop[:, ::-1]), kind
        assert (slots[[0, 2]] == 7).all()
        copy(crop, slots[1], mirrored=False)
        assert np.array_equal(slots[1], crop), kind


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    images = [decoded(seed) for seed in range(4)]
    transformer = DataTransformer(PARAM, pb.TRAIN)
    expected = filled(images, transformer).tensor()
    mode.set_mode_gpu()
    try:
        from batchbrew.caffe.data.staging import Upload

        batch = filled(images, transformer)
        batch.stage(Upload())
        found = batch.tensor()
        assert found.is_cuda
        assert torch.equal(found.cpu(), expected)
    finally:
        mode.set_mode_cpu()
