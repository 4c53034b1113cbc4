"""What is in an LMDB, and whether all of it can be used."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset.description import Description, read_description
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.parallel import ordered_map
from batchbrew.dataset.reader import LmdbReader, datum_image, datum_size, parse_datum, printable
from batchbrew.dataset.writer import Progress, default_workers
from batchbrew.errors import InputError

SAMPLED_SIZES = 500
NAMED_PROBLEMS = 20


@dataclass(frozen=True)
class LmdbInfo:
    """What `lmdb info` shows."""

    path: Path
    entries: int
    file_bytes: int
    label_counts: dict[int, int]
    encoded: int
    """Of the sampled records, how many are encoded images (JPEG, PNG) rather than raw pixels."""
    sampled: int
    sizes: Counter[tuple[int, int]]
    """Of the sampled records: (height, width) → how many."""
    mean_short_side: float
    description: Description | None


def lmdb_info(path: Path, progress: Progress | None = None) -> LmdbInfo:
    """Count labels, and look at the sizes of up to 500 records spread over the LMDB.

    The labels are those of dataset.json where there is one that agrees with the number of records; else every
    record is read. Raises InputError for a damaged LMDB.
    """
    with LmdbReader(path) as reader:
        description = read_description(path)
        if description is not None and description.images == reader.count:
            label_counts = description.label_counts
        else:
            label_counts = _count_labels(reader, progress)
        sizes: Counter[tuple[int, int]] = Counter()
        encoded = 0
        for key, value in reader.sample(SAMPLED_SIZES):
            with _naming(path, key):
                datum = parse_datum(value)
                sizes[datum_size(datum)] += 1
                encoded += datum.encoded
        sampled = sizes.total()
        return LmdbInfo(
            path=path,
            entries=reader.count,
            file_bytes=(path / "data.mdb").stat().st_size,
            label_counts=label_counts,
            encoded=encoded,
            sampled=sampled,
            sizes=sizes,
            mean_short_side=sum(min(size) * count for size, count in sizes.items()) / sampled,
            description=description,
        )


def _count_labels(reader: LmdbReader, progress: Progress | None) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for done, (key, value) in enumerate(reader.items(), start=1):
        with _naming(reader.path, key):
            counts[parse_datum(value).label] += 1
        if progress is not None:
            progress(done, reader.count, 0)
    return dict(sorted(counts.items()))


@contextlib.contextmanager
def _naming(path: Path, key: bytes) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise InputError(f"{path}: record {printable(key)} {error}") from error


@dataclass(frozen=True)
class Verification:
    """What `lmdb verify` found."""

    records: int
    described: bool
    """Whether there was a dataset.json to compare with."""
    problem_count: int
    problems: list[str]
    """The first ones, a line each."""


def verify_lmdb(path: Path, workers: int | None = None, progress: Progress | None = None) -> Verification:
    """Parse and decode every record, and compare counts and checksum with dataset.json.

    Raises InputError only if the LMDB cannot be opened; what is wrong inside is listed.
    """
    problems = _Problems()
    digest = hashlib.sha256()
    labels: Counter[int] = Counter()
    records = 0
    with LmdbReader(path) as reader:
        description = _description(path, problems)
        checked = ordered_map(_check, _hashed(reader, digest.update), workers or default_workers())
        with contextlib.closing(checked):
            for records, (key, label, problem) in enumerate(checked, start=1):
                labels[label] += 1
                if problem is not None:
                    problems.add(f"record {printable(key)} {problem}")
                elif label < 0:
                    problems.add(f"record {printable(key)} has the negative label {label}")
                if progress is not None:
                    progress(records, reader.count, problems.count)
        if records != reader.count:
            problems.add(f"{records} records were read, but the LMDB says that it has {reader.count}")
    if description is not None:
        _compare(description, records, labels, digest.hexdigest(), problems)
    return Verification(records, description is not None, problems.count, problems.first)


class _Problems:
    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, problem: str) -> None:
        self.count += 1
        if self.count <= NAMED_PROBLEMS:
            self.first.append(problem)


def _description(path: Path, problems: _Problems) -> Description | None:
    try:
        return read_description(path)
    except InputError as error:
        problems.add(str(error))
        return None


def _hashed(reader: LmdbReader, update: Callable[[bytes], None]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in reader.items():
        update(key)
        update(value)
        yield key, value


def _check(item: tuple[bytes, bytes]) -> tuple[bytes, int, str | None]:
    """Key, label, and what is wrong with the record."""
    key, value = item
    label = 0
    try:
        datum = parse_datum(value)
        label = datum.label
        datum_image(datum)
    except ImageError as error:
        return key, label, str(error)
    return key, label, None


def _compare(
    description: Description, records: int, labels: Counter[int], sha256: str, problems: _Problems
) -> None:
    if description.images != records:
        problems.add(f"dataset.json speaks of {description.images} images, but there are {records}")
    for label in sorted(labels.keys() | description.label_counts.keys()):
        said = description.label_counts.get(label, 0)
        if said != labels[label]:
            problems.add(
                f"dataset.json speaks of {said} images with label {label}, but there are {labels[label]}"
            )
    if description.sha256 != sha256:
        problems.add("the records are not those that were built: their checksum differs from dataset.json's")
