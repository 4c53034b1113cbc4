"""Whether all of an LMDB can be used, or of several that are one set."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset.description import Description, read_description
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.inspection import further
from batchbrew.dataset.parallel import ordered_map
from batchbrew.dataset.reader import LmdbReader, datum_image, parse_datum, printable
from batchbrew.dataset.shards import lmdbs_in
from batchbrew.dataset.writer import Progress, default_workers
from batchbrew.errors import InputError

NAMED_PROBLEMS = 20


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
    """Parse and decode every record, and compare counts and checksum with dataset.json: of each LMDB of a set.

    Raises InputError only if one cannot be opened; what is wrong inside is listed.
    """
    shards = lmdbs_in(path)
    if list(shards) == [path]:
        return _verify(path, workers, progress)
    with LmdbReader(path) as reader:  # all can be opened, before the first is read for a long time
        whole = reader.count
    found: list[Verification] = []
    for shard in shards:
        before = sum(each.records for each in found)
        found.append(_verify(shard, workers, further(progress, before, whole)))
    problems = [
        f"{shard.name}: {problem}"
        for shard, each in zip(shards, found, strict=True)
        for problem in each.problems
    ]
    return Verification(
        records=sum(each.records for each in found),
        described=all(each.described for each in found),
        problem_count=sum(each.problem_count for each in found),
        problems=problems[:NAMED_PROBLEMS],
    )


def _verify(path: Path, workers: int | None, progress: Progress | None) -> Verification:
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
