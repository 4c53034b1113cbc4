"""Layers that read one record after another, in an order that can be changed."""

from typing import Protocol

from batchbrew.caffe.data.batch_layer import LEAST_AHEAD, BatchLayer
from batchbrew.caffe.data.images import ImageBatches
from batchbrew.caffe.data.order import Order
from batchbrew.caffe.data.staging import ColumnSource
from batchbrew.nets.shapes.registry import Known

MOST_BYTES_AHEAD = 2**30  # of pixels, of which each is a byte


class OrderedSource(ColumnSource, Protocol):
    """Batches of records that are taken in `order`."""

    order: Order


class OrderedLayer(BatchLayer):
    """A layer of which a program can ask for another order than its prototxt's."""

    _source: OrderedSource

    def shuffle(self, seed: int) -> None:
        """From the next batch on, take the records in an order that is drawn anew for each round, by `seed`.

        The number of the next batch stays what it is: `shuffle(7); seek(1000)` is batch 1,000 of that order, whatever
        was read before. Raises InputError for a negative seed.
        """
        self._source.order = self._source.order.shuffled(seed)
        self._prefetcher.forget()


class ImageLayer(OrderedLayer):
    """A layer that reads images, one of which gives the net its shapes."""

    def open_images(self, labelled: bool) -> ImageBatches:
        """Open what is to be read; with labels if `labelled`. Raises InputError or Refusal."""
        raise NotImplementedError

    def ahead(self, threads: int, numbers: int) -> int:
        """One for each thread, as each makes a batch, unless they are large."""
        return max(LEAST_AHEAD, min(threads, MOST_BYTES_AHEAD // max(1, numbers)))

    def open_source(self, tops: int) -> ImageBatches:
        """Open it, and look at its first image."""
        images = self.open_images(labelled=tops > 1)
        self._first = images.first_image()
        return images

    def known(self) -> Known:
        """The size of the first image."""
        return Known(first_image=lambda layer: self._first)
