"""Batches of images with labels, from wherever they are stored."""

from math import prod
from typing import Protocol

import numpy as np

from batchbrew.caffe.data.order import Order
from batchbrew.caffe.data.pixel_batch import PixelBatch
from batchbrew.caffe.data.staging import Column, Numbers
from batchbrew.caffe.data.transformer import DataTransformer, Pixels
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.dataset.images import ImageError
from batchbrew.errors import InputError
from batchbrew.nets.shapes import SourceImage
from batchbrew.nets.shapes.registry import MAX_COUNT, Refusal, Shape, by

Label = int | None


class ImageStore(Protocol):
    """Images by number, from any thread."""

    count: int

    def read(self, index: int) -> tuple[Pixels, Label]:
        """An image and its label. Raises ImageError for one that is damaged, InputError if nothing can be read."""

    def name(self, index: int) -> str:
        """Which one that is, in messages."""


class ImageBatches:
    """Batch after batch of `batch_size` images: N×C×H×W, and N labels if `labelled`. From any thread.

    Images of one batch must be alike; those of the next may be of another size, as in Caffe.
    """

    def __init__(
        self, store: ImageStore, transformer: DataTransformer, order: Order, batch_size: int, labelled: bool
    ) -> None:
        self.order = order
        self._store = store
        self._transformer = transformer
        self._batch_size = batch_size
        self._labelled = labelled
        self._allowed: Shape | None = None

    def first_image(self) -> SourceImage:
        """The size of the first image, by which Caffe gives the net its shapes."""
        image, _, _ = self._read(self.order.record(0))
        height, width, channels = image.shape
        return SourceImage(channels, height, width)

    def batch(self, number: int) -> list[Column]:
        """Batch `number`, from 0. Raises InputError that names the image, Refusal for a batch that cannot fit."""
        order, size = self.order, self._batch_size
        indices = [order.record(item) for item in range(number * size, (number + 1) * size)]
        draws = self._transformer.draws(number, size)
        labels = np.zeros(size, np.float32)
        pixels: PixelBatch | None = None
        for item, index in enumerate(indices):
            image, label, shape = self._read(index)
            if pixels is None:
                pixels = self._room(shape, image)
            elif shape != pixels.shape[1:]:
                raise InputError(
                    f"{self._store.name(index)} is {by(shape)}, but {self._store.name(indices[0])}, with which its "
                    f"batch begins, is {by(pixels.shape[1:])}: give crop_size, or build the data set with images of "
                    "one shape"
                )
            pixels.put(item, image, draws[item])
            del image  # its memory is still in the cache when the next one takes it
            if self._labelled:
                labels[item] = label
        assert pixels is not None, "a batch has at least one image"
        return [pixels, Numbers(labels)] if self._labelled else [pixels]

    def _read(self, index: int) -> tuple[Pixels, Label, Shape]:
        """An image, its label, and the shape that it will have."""
        try:
            image, label = self._store.read(index)
            shape = self._transformer.shape(image)
        except ImageError as error:
            raise InputError(f"{self._store.name(index)} {error}") from error
        if self._labelled and label is None:
            raise InputError(
                f"{self._store.name(index)} has no label, but the layer has a top for labels: remove that top, or "
                "build the data set with labels"
            )
        return image, label, shape

    def _room(self, shape: Shape, first: Pixels) -> PixelBatch:
        """Room for a batch that begins with the image `first`. Raises Refusal where there is none."""
        whole = (self._batch_size, *shape)
        if whole != self._allowed:
            count = prod(whole)
            if count > MAX_COUNT:
                raise Refusal(
                    f"its batch {by(whole)} is too large: Caffe's blobs hold {MAX_COUNT:,} numbers at most"
                )
            MemoryLimit().check(count)
            self._allowed = whole
        return PixelBatch(whole, first, self._transformer)
