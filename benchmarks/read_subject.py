"""A subject that makes batches of bytes: crops, by chance mirrored, N×H×W×3; nothing is subtracted, no net is behind.

Its argument is a JSON object, with `batch` and `crop`, and either `lmdb`, with the numbers of `threads` and of
`processes` that read it and whether they do so in random order, or `files`, a folder of JPEGs with their labels
before a dash, with the number of `workers` of a DataLoader. It is asked as data_subject.py is.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from data_subject import serve
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from batchbrew.caffe import mode
from batchbrew.caffe.data.datums import DatumStore
from batchbrew.caffe.data.images import ImageBatches
from batchbrew.caffe.data.order import Order, Share
from batchbrew.caffe.data.prefetch import Prefetcher
from batchbrew.caffe.data.staging import Column
from batchbrew.caffe.data.transformer import DataTransformer
from batchbrew.proto import caffe_pb2 as pb

LEAST_AHEAD = 2


def main() -> None:
    """Open what the job names, and serve."""
    job = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    serve(loader_reading(job) if "files" in job else lmdb_reading(job))


def lmdb_reading(job: dict[str, Any]) -> Callable[[], object]:
    """A function that takes the next batch of the engine's own reader."""
    if job["processes"] > 1:
        return processes_reading(job)
    return batch_after_batch(job)


def batch_after_batch(job: dict[str, Any], rank: int = 0) -> Callable[[], object]:
    """A function that takes the next batch, read ahead as a Data layer does, of this process's share of the records."""
    param = pb.TransformationParameter(crop_size=job["crop"], mirror=True)
    store = DatumStore(Path(job["lmdb"]), param)
    order = Order(store.count, Share(job["processes"], rank), seed=1 if job["random"] else None)
    batches = ImageBatches(store, DataTransformer(param, mode.TRAIN), order, job["batch"], labelled=True)
    ahead: Prefetcher[list[Column]] = Prefetcher(batches, max(LEAST_AHEAD, job["threads"]), job["threads"])
    numbers = iter(range(2**40))
    return lambda: ahead.batch(next(numbers))


def processes_reading(job: dict[str, Any]) -> Callable[[], object]:
    """A function that waits until one of the processes has made one more batch."""
    wanted_in, wanted = os.pipe()
    made, made_out = os.pipe()
    for rank in range(job["processes"]):
        if os.fork() == 0:
            os.close(wanted)  # so that the parent's end of it is the last one
            make_batches(batch_after_batch(job, rank), wanted_in, made_out)
    os.write(wanted, LEAST_AHEAD * job["processes"] * b".")

    def read() -> None:
        assert os.read(made, 1), "the processes have ended"
        os.write(wanted, b".")

    return read


def make_batches(read: Callable[[], object], wanted: int, made: int) -> None:
    """One for each byte that comes, until nobody asks any more; what comes of them is dropped."""
    while os.read(wanted, 1):
        read()
        os.write(made, b".")
    os._exit(0)


class Photographs(Dataset[tuple[Tensor, int]]):
    """H×W×3 bytes of a random crop, by chance mirrored, and a label: as one writes it with OpenCV."""

    def __init__(self, folder: Path, crop: int) -> None:
        self._files = sorted(map(str, folder.iterdir()))
        self._labels = [int(Path(name).name.partition("-")[0]) for name in self._files]
        self._crop = crop

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = cv2.imread(self._files[index], cv2.IMREAD_COLOR)
        assert image is not None, self._files[index]
        top = int(torch.randint(image.shape[0] - self._crop + 1, ()))
        left = int(torch.randint(image.shape[1] - self._crop + 1, ()))
        crop = image[top : top + self._crop, left : left + self._crop]
        if int(torch.randint(2, ())):
            crop = cv2.flip(crop, 1)
        return torch.from_numpy(np.ascontiguousarray(crop)), self._labels[index]


def loader_reading(job: dict[str, Any]) -> Callable[[], object]:
    """A function that takes the next batch of a DataLoader."""
    photographs = Photographs(Path(job["files"]), job["crop"])
    sampler = RandomSampler(photographs, replacement=True, num_samples=2**40)
    loader = iter(DataLoader(photographs, job["batch"], sampler=sampler, num_workers=job["workers"]))
    return lambda: next(loader)


if __name__ == "__main__":
    main()
