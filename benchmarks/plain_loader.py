"""The same batches by hand: a PyTorch DataLoader over an LMDB of JPEGs, decoded by OpenCV, cropped and mirrored.

Bytes are collated, and made numbers a batch at a time: a sample at a time takes longer.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import lmdb
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from batchbrew.proto import caffe_pb2


class Photographs(Dataset[tuple[Tensor, int]]):
    """H×W×3 bytes of a random crop, by chance mirrored, and a label."""

    def __init__(self, path: str, crop: int) -> None:
        self._path = path
        self._crop = crop
        self._transaction: lmdb.Transaction | None = None
        with lmdb.open(path, readonly=True, lock=False) as opened, opened.begin() as transaction:
            self._keys = list(transaction.cursor().iternext(values=False))

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if self._transaction is None:  # in each worker its own
            self._transaction = lmdb.open(self._path, readonly=True, lock=False).begin()
        datum = caffe_pb2.Datum.FromString(self._transaction.get(self._keys[index]))
        image = cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None, self._keys[index]
        top = int(torch.randint(image.shape[0] - self._crop + 1, ()))
        left = int(torch.randint(image.shape[1] - self._crop + 1, ()))
        crop = image[top : top + self._crop, left : left + self._crop]
        if int(torch.randint(2, ())):
            crop = cv2.flip(crop, 1)
        return torch.from_numpy(np.ascontiguousarray(crop)), datum.label


def batches(job: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """N×3×H×W float32 without their means, and labels, without end."""
    photographs = Photographs(job["lmdb"], job["crop"])
    loader = DataLoader(
        photographs,
        job["batch"],
        sampler=RandomSampler(photographs, replacement=True, num_samples=2**40),
        num_workers=job["loader"],
    )
    means = torch.tensor(job["means"])
    for pixels, labels in loader:
        yield pixels.float().sub_(means).permute(0, 3, 1, 2), labels
