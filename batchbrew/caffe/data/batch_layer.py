"""What layers have in common whose tops are batches of what they read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.data.pace import Waiting
from batchbrew.caffe.data.prefetch import Prefetcher, data_threads
from batchbrew.caffe.data.staging import ColumnSource, StagedBatches
from batchbrew.caffe.layer import StandardLayer
from batchbrew.errors import InputError
from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.nets.shapes.network import answer_for, check_arity, check_tops
from batchbrew.nets.shapes.registry import Answer, Known, Refusal

LEAST_AHEAD = 2  # one that is there, and one in the making


class BatchLayer(StandardLayer):
    """A layer that reads: each forward pass gives the next batch of its source.

    Any batch can be the next one (`seek`, `skip`): what it holds, its crops and mirrorings too, follows from its
    number and from the seed that set_random_seed gave when the net was built.
    """

    waiting: Waiting

    def ahead(self, threads: int, numbers: int) -> int:
        """How many batches of so many numbers are made, by so many threads, while the net computes."""
        return LEAST_AHEAD

    def open_source(self, tops: int) -> ColumnSource:
        """Open what is to be read. Raises InputError or Refusal."""
        raise NotImplementedError

    def known(self) -> Known:
        """What the opened source says of the tops' shapes."""
        return Known()

    @property
    def next_batch(self) -> int:
        """The number of the batch that the next forward pass gives; the first one is 0."""
        return self._next_batch

    def seek(self, batch: int) -> None:
        """Have the next forward pass give batch `batch`, at no cost, however far it is."""
        if batch < 0:
            raise InputError(f"layer {self.name}: there is no batch {batch}: they are counted from 0")
        self._next_batch = int(batch)

    def skip(self, batches: int) -> None:
        """Leave out the next `batches`, without reading them; a negative number goes back."""
        self.seek(self._next_batch + batches)

    def answer(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Answer:
        """What the rule says, knowing the source."""
        return answer_for(self.layer_param, [blob.shape for blob in bottom], len(top), self.known())

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Open the source, and give the tops the shapes of its first batch."""
        self._next_batch = 0
        check_arity(LAYER_TYPES[self.type], self.layer_param, len(bottom), len(top))
        with _refusing():
            self._source = self.open_source(len(top))
            answer = self.answer(bottom, top)
            threads = data_threads()
        check_tops(self.layer_param, answer.tops)
        for blob, shape in zip(top, answer.tops, strict=True):
            blob.reshape(*shape)
        batches = StagedBatches(self._source)
        self._prefetcher = Prefetcher(batches, self.ahead(threads, top[0].count), threads)
        self.waiting = Waiting(self.name, batches.made, threads)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Nothing: each batch has its own shape."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the next batch. When it cannot be made, that is the error, and it stays the next one."""
        asked = perf_counter()
        with _refusing():
            batch = self._prefetcher.batch(self._next_batch)
        given = perf_counter()
        self._next_batch += 1
        for blob, column in zip(top, batch, strict=True):
            tensor = column.tensor()
            blob.reshape(*tensor.shape)
            blob.data_tensor = tensor
        self.waiting.took(asked, given, top[0].shape[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Nothing to propagate."""


@contextmanager
def _refusing() -> Iterator[None]:
    """What is wrong with the source is told with the layer's name before it."""
    try:
        yield
    except InputError as error:
        raise Refusal(str(error)) from error
