"""Where in its training data a run stands, and where a restart begins.

Caffe's `Data` layer (LMDB) never shuffles and ignores `rand_skip`: after every restart it reads from record 0 in
the same order, whatever the seed. So a restarted run would see the first images again and again, and a run
that diverged would meet the same batches in the same order. The worker therefore reads and drops batches
before it begins: after a kill up to the record where the snapshot was taken, after a divergence a number drawn
with the new seed. What other layers read is dropped likewise, though nothing is known of where it begins again.
`ImageData` with `shuffle: true` is shuffled anew by the seed itself; nothing is dropped.
"""

import math
import random
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.state import layers_in_state
from batchbrew.proto import caffe_pb2
from batchbrew.proto.text import read_prototxt

# Decoding 50,000 JPEGs takes Caffe's data thread about a minute; no restart should wait for longer.
MAX_SKIPPED_IMAGES = 50_000
UNKNOWN_BATCH_SIZE = 256


@dataclass(frozen=True)
class TrainingData:
    """What a run trains from: its records (None: unknown), the images of a batch, the batches of an iteration."""

    records: int | None
    batch_size: int
    batches_per_iteration: int

    def batches_to_resume(self, batches_read: int, seed: int, *, skipping_is_free: bool = False) -> int:
        """Batches to drop, from record 0 on, so that those of an uninterrupted run follow.

        After `batches_read` batches the exact answer is short on a small data set; on a large one the
        nearest batch to the same record is taken, or, where that is too far, one drawn with `seed`. An engine
        for which `skipping_is_free`, as it reads none of them, is given the exact answer.
        """
        exact = self._in_first_cycle(batches_read)
        if skipping_is_free or exact * self.batch_size <= MAX_SKIPPED_IMAGES:
            return exact
        if self.records is not None:
            near = round(batches_read * self.batch_size % self.records / self.batch_size)
            if near * self.batch_size <= MAX_SKIPPED_IMAGES:
                return near
        return self.batches_to_differ(batches_read, seed)

    def batches_to_differ(self, batches_read: int, seed: int) -> int:
        """Batches to drop so that others follow than did after `batches_read`, and than those at record 0."""
        images = MAX_SKIPPED_IMAGES if self.records is None else min(self.records, MAX_SKIPPED_IMAGES)
        drawn = random.Random(seed).randint(1, max(1, images // self.batch_size - 1))
        return drawn + (drawn == self._in_first_cycle(batches_read))

    def _in_first_cycle(self, batches_read: int) -> int:
        """The least number of batches after which the same ones follow as after `batches_read`."""
        if self.records is None:
            return batches_read
        return batches_read % (self.records // math.gcd(self.records, self.batch_size))


def training_data(solver: caffe_pb2.SolverParameter, folder: Path) -> TrainingData | None:
    """What the solver's training net reads, or None where that is shuffled by the seed.

    Relative paths begin at `folder`. Raises InputError if the LMDB cannot be opened.
    """
    net = read_prototxt(folder / (solver.net or solver.train_net), caffe_pb2.NetParameter)
    state = solver.train_state
    layers = layers_in_state(net, caffe_pb2.TRAIN, level=state.level, stages=list(state.stage))
    if any(layer.type == "ImageData" and layer.image_data_param.shuffle for layer in layers):
        return None
    batches_per_iteration = max(1, solver.iter_size)
    data = [layer for layer in layers if layer.type == "Data"]
    if len(data) != 1 or data[0].data_param.backend != caffe_pb2.DataParameter.LMDB:
        fields = ("data_param", "image_data_param", "hdf5_data_param")
        sizes = [
            getattr(layer, field).batch_size for layer in layers for field in fields if layer.HasField(field)
        ]
        batch_size = max(sizes, default=0)
        return TrainingData(None, batch_size or UNKNOWN_BATCH_SIZE, batches_per_iteration)
    from batchbrew.dataset.reader import LmdbReader

    parameters = data[0].data_param
    if parameters.batch_size < 1:
        raise InputError(f"layer {data[0].name!r}: batch_size is {parameters.batch_size}: write at least 1")
    with LmdbReader(folder / parameters.source) as reader:
        return TrainingData(reader.count, parameters.batch_size, batches_per_iteration)
