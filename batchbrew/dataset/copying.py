"""Records of data sets into new LMDBs, as they are: the same bytes, in another order or place."""

import os
import re
from array import array
from collections.abc import Callable
from pathlib import Path

from batchbrew.dataset.building.record_writer import RecordWriter
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.inspection import naming
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, parse_datum
from batchbrew.dataset.shards import DATA_FILE, lmdbs_in
from batchbrew.dataset.sources import MAX_LABEL

NUMBER = re.compile(r"[0-9]{8,}_")
SECTOR = 512  # bytes, in which stat counts blocks


class Meter:
    """Counts the records of one or several passes."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done = 0

    def step(self) -> None:
        """One more."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, 0)


def name_in_key(key: bytes) -> str:
    """What a key is besides its number: the path of the image, where the LMDB was made from files."""
    text = os.fsdecode(key)
    found = NUMBER.match(text)
    return text[found.end() :] if found else text


def copy_record(
    path: Path, key: bytes, value: bytes, writer: RecordWriter, change: Callable[[int], int] | None = None
) -> None:
    """Append a record of the data set `path`, its label changed if `change` is given.

    Raises InputError that names a record which is no Datum or has a negative label.
    """
    with naming(path, key):
        datum = parse_datum(value)
        label = datum.label if change is None else change(datum.label)
        if min(label, datum.label) < 0 or label > MAX_LABEL:
            raise ImageError(f"has the label {datum.label}, to become {label}: labels are 0 to {MAX_LABEL}")
        if label != datum.label:
            datum.label = label
            value = datum.SerializeToString()
    writer.add(name_in_key(key), label, value)


def labels_of(reader: LmdbReader, meter: Meter) -> "array[int]":
    """The label of every record. Raises InputError that names the first which has none to use."""
    labels = array("i")
    for key, value in reader.items():
        with naming(reader.path, key):
            labels.append(parse_datum(value).label)
        meter.step()
    return labels


def stored_bytes(path: Path) -> int:
    """What the files of a data set take on the disk, without the holes that a sparse one has."""
    status = [(lmdb / DATA_FILE).stat() for lmdb in lmdbs_in(path)]
    return sum(min(each.st_size, SECTOR * each.st_blocks) for each in status)
