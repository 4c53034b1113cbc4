"""Batches of images with labels, from wherever they are stored."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.data.order import Order
from batchbrew.caffe.data.prefetch import Batch
from batchbrew.caffe.data.transformer import Pixels, Transformer
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.dataset.images import ImageError
from batchbrew.errors import InputError
from batchbrew.nets.shapes import SourceImage
from batchbrew.nets.shapes.registry import MAX_COUNT, Refusal, Shape, by


class StoredImage(NamedTuple):
    """An image as it lies in its store. `name` says which one it is, in messages."""

    name: str
    image: Pixels
    label: int | None


class ImageStore(Protocol):
    """Images by number."""

    count: int

    def read(self, indices: Sequence[int]) -> Iterator[StoredImage]:
        """The images of these numbers, one after another. Raises InputError that names the one it cannot read."""


class ImageBatches:
    """Batch after batch of `batch_size` images: N×C×H×W, and N labels if `labelled`.

    Images of one batch must be alike; those of the next may be of another size, as in Caffe.
    """

    def __init__(
        self, store: ImageStore, transformer: Transformer, order: Order, batch_size: int, labelled: bool
    ) -> None:
        self.order = order
        self._store = store
        self._transformer = transformer
        self._batch_size = batch_size
        self._labelled = labelled

    def first_image(self) -> SourceImage:
        """The size of the first image, by which Caffe gives the net its shapes."""
        ((stored, _),) = self._read([self.order.record(0)])
        height, width, channels = stored.image.shape
        return SourceImage(channels, height, width)

    def batch(self, number: int) -> Batch:
        """Batch `number`, from 0. Raises InputError that names the image, Refusal for a batch that cannot fit."""
        order, first = self.order, number * self._batch_size
        indices = [order.record(item) for item in range(first, first + self._batch_size)]
        draws = self._transformer.draws(number, self._batch_size)
        labels = np.zeros(self._batch_size, np.float32)
        data = np.empty((0, 0, 0, 0), np.float32)
        for item, (stored, shape) in enumerate(self._read(indices)):
            if item == 0:
                name_of_first = stored.name
                data = _empty((self._batch_size, *shape))
            elif shape != data.shape[1:]:
                raise InputError(
                    f"{stored.name} is {by(shape)}, but {name_of_first}, with which its batch begins, is "
                    f"{by(data.shape[1:])}: give crop_size, or build the data set with images of one shape"
                )
            self._transformer.write(stored.image, draws[item], data[item])
            if self._labelled:
                labels[item] = stored.label
        return (data, labels) if self._labelled else (data,)

    def _read(self, indices: Sequence[int]) -> Iterator[tuple[StoredImage, Shape]]:
        """Images, and the shapes that they will have."""
        for stored in self._store.read(indices):
            try:
                shape = self._transformer.shape(stored.image)
            except ImageError as error:
                raise InputError(f"{stored.name} {error}") from error
            if self._labelled and stored.label is None:
                raise InputError(
                    f"{stored.name} has no label, but the layer has a top for labels: remove that top, or build "
                    "the data set with labels"
                )
            yield stored, shape


def _empty(shape: Shape) -> NDArray[np.float32]:
    """Room for a batch. Raises Refusal where there is none."""
    count = prod(shape)
    if count > MAX_COUNT:
        raise Refusal(f"its batch {by(shape)} is too large: Caffe's blobs hold {MAX_COUNT:,} numbers at most")
    MemoryLimit().check(count)
    return np.empty(shape, np.float32)
