"""Whether all of an LMDB can be used, or of several that are one set, and what else it has pictures of."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchbrew.dataset.class_balance import label_warnings, labels_beyond
from batchbrew.dataset.description import Description, read_description
from batchbrew.dataset.duplicates import Fingerprints, Repeats
from batchbrew.dataset.inspection import further
from batchbrew.dataset.label_ranges import in_ranges
from batchbrew.dataset.parallel import default_workers, ordered_map
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, shown_key
from batchbrew.dataset.record_check import CheckedRecord, check_record
from batchbrew.dataset.shards import lmdbs_in
from batchbrew.errors import InputError

NAMED_PROBLEMS = 20

Size = tuple[int, int, int]
"""Height, width and channels."""


@dataclass
class Verification:
    """What `lmdb verify` found."""

    records: int = 0
    described: bool = True
    """Whether there was a dataset.json to compare with, for each LMDB of a set."""
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)
    """The first ones, a line each."""
    broken: bool = False
    """Whether a data set could not be read to its end."""
    warnings: list[str] = field(default_factory=list)
    """What a data set should not have, and can be trained with, a line each."""
    label_counts: dict[int, int] = field(default_factory=dict)
    class_names: list[str] | None = None
    sizes: Counter[Size] = field(default_factory=Counter)
    repeats: Repeats | None = None
    leaks: dict[str, Repeats] = field(default_factory=dict)
    """Data set that was compared with → the pictures of it that are here too."""

    def add_problem(self, problem: str, count: int = 1) -> None:
        """A line that stands for so many."""
        self.problem_count += count
        if len(self.problems) < NAMED_PROBLEMS:
            self.problems.append(problem)

    def add_end(self, name: str, error: InputError, last: bytes | None, missing: int) -> None:
        """Reading has ended early with `error`, behind the record `last`: always named, whatever came before."""
        where = "before the first record" if last is None else f"behind record {shown_key(last)}"
        self.broken = True
        self.problem_count += 1
        self.problems.append(
            f"{name}{where} it cannot be read further, {missing:,} records are not checked: {error}"
        )


def verify_lmdb(
    path: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    *,
    against: Sequence[Path] = (),
    allow_duplicates: bool = False,
) -> Verification:
    """Decode every record, compare with dataset.json (of each LMDB of a set), and look for pictures that repeat.

    A picture that is in one of the data sets `against`, too, is a problem (with `allow_duplicates` a warning), one
    that `path` has twice a warning. Raises InputError only if a data set cannot be opened; what is wrong inside is
    listed. Memory: 20 bytes a record, and the pictures that the threads are at.
    """
    threads = workers or default_workers()
    with contextlib.ExitStack() as stack:
        # All can be opened, before the first is read for a long time.
        reader = stack.enter_context(LmdbReader(path))
        others = [(other, stack.enter_context(LmdbReader(other))) for other in against]
        whole = reader.count + sum(other.count for _, other in others)
        found = Verification()
        pictures = Fingerprints()
        for shard in lmdbs_in(path):
            name = "" if shard == path else f"{shard.name}: "
            _verify_one(shard, name, found, pictures, threads, further(progress, found.records, whole))
        found.label_counts = dict(sorted(found.label_counts.items()))
        found.repeats = pictures.repeats()
        _warn(found, reader)
        done = found.records
        for other_path, other in others:
            leak = _compare_with(
                found, pictures, reader, other_path, other, threads, further(progress, done, whole)
            )
            found.leaks[str(other_path)] = leak
            _judge(found, leak, reader, other, allow_duplicates)
            done += other.count
    return found


def _verify_one(
    path: Path,
    name: str,
    found: Verification,
    pictures: Fingerprints,
    workers: int,
    progress: Progress | None,
) -> None:
    """One LMDB; what is wrong with it is called `name`, which ends in a blank."""
    digest = hashlib.sha256()
    labels: Counter[int] = Counter()
    records = 0
    before: bytes | None = None
    ends: list[InputError] = []
    with LmdbReader(path) as reader:
        description = _description(path, name, found)
        for records, record in enumerate(_checked(reader, digest.update, workers, ends), start=1):
            labels[record.label] += 1
            pictures.add(record.fingerprint, record.label)
            if record.size is not None:
                found.sizes[record.size] += 1
            if record.problem is not None:
                found.add_problem(f"{name}record {shown_key(record.key)} {record.problem}")
            if before is not None and record.key <= before:
                found.add_problem(
                    f"{name}record {shown_key(record.key)} lies behind {shown_key(before)}: "
                    + ("one key, twice" if record.key == before else "keys are not in order")
                )
            before = record.key
            if progress is not None:
                progress(records, reader.count, found.problem_count)
        for end in ends:
            found.add_end(name, end, before, reader.count - records)
        if not ends and records != reader.count:
            found.add_problem(
                f"{name}{records} records were read, but the LMDB says that it has {reader.count}"
            )
    if description is not None and not ends:
        for problem in _differences(description, records, labels, digest.hexdigest()):
            found.add_problem(f"{name}{problem}")
    names = None if description is None else description.class_names
    if not found.records:
        found.class_names = names
    elif names != found.class_names and description is not None and found.described:
        found.add_problem(
            f"{name}dataset.json names other classes than the shards before: build all with the same"
        )
    elif names != found.class_names:
        found.class_names = None
    found.described = found.described and description is not None
    found.records += records
    for label, count in labels.items():
        found.label_counts[label] = found.label_counts.get(label, 0) + count


def _checked(
    reader: LmdbReader, update: Callable[[bytes], None] | None, workers: int, ends: list[InputError]
) -> Iterator[CheckedRecord]:
    """All records in order, decoded by threads; `update` gets every key and value.

    Where they cannot be read to the last, `ends` gets the reason.
    """
    checked = ordered_map(check_record, _in_order(reader, update, ends), workers)
    with contextlib.closing(checked):
        yield from checked


def _in_order(
    reader: LmdbReader, update: Callable[[bytes], None] | None, ends: list[InputError]
) -> Iterator[tuple[bytes, bytes]]:
    try:
        for key, value in reader.items():
            if update is not None:
                update(key)
                update(value)
            yield key, value
    except InputError as error:
        ends.append(error)


def _description(path: Path, name: str, found: Verification) -> Description | None:
    try:
        return read_description(path)
    except InputError as error:
        found.add_problem(f"{name}{error}")
        return None


def _differences(description: Description, records: int, labels: Counter[int], sha256: str) -> Iterator[str]:
    """What of dataset.json is not so."""
    if description.images != records:
        yield f"dataset.json speaks of {description.images} images, but there are {records}"
    for label in sorted(labels.keys() | description.label_counts.keys()):
        said = description.label_counts.get(label, 0)
        if said != labels[label]:
            yield f"dataset.json speaks of {said} images with label {label}, but there are {labels[label]}"
    if description.class_names and (beyond := labels_beyond(labels, description.class_names)):
        yield (
            f"there are labels {in_ranges(beyond[:NAMED_PROBLEMS])}, but class names for 0 to "
            f"{len(description.class_names) - 1} only"
        )
    if description.sha256 != sha256:
        yield "the records are not those that were built: their checksum differs from dataset.json's"


def _warn(found: Verification, reader: LmdbReader) -> None:
    found.warnings += label_warnings(found.label_counts, found.class_names)
    channels = sorted({size[2] for size in found.sizes})
    if len(channels) > 1:
        found.warnings.append(
            f"there are pictures of {' and '.join(map(str, channels))} channels: Caffe's Data layer stops at the first "
            "that differs, unless transform_param has force_color or force_gray"
        )
    repeats = found.repeats
    if repeats is not None and repeats.pictures:
        found.warnings.append(
            f"{_counted(repeats)} repeat another one{_pairs(found, repeats, reader, reader)}"
        )


def _compare_with(
    found: Verification,
    pictures: Fingerprints,
    reader: LmdbReader,
    path: Path,
    other: LmdbReader,
    workers: int,
    progress: Progress | None,
) -> Repeats:
    """Decode `other`; its pictures that are among `pictures` too."""
    others, damaged, done, ends = Fingerprints(), 0, 0, list[InputError]()
    last: bytes | None = None
    for done, record in enumerate(_checked(other, None, workers, ends), start=1):
        others.add(record.fingerprint, record.label)
        last = record.key
        damaged += record.size is None
        if progress is not None:
            progress(done, other.count, found.problem_count)
    for end in ends:
        found.add_end(f"{path}: ", end, last, other.count - done)
    if damaged:
        found.add_problem(
            f"{damaged} records of {path} cannot be decoded, and are not compared: verify it by itself",
            damaged,
        )
    return pictures.repeated_in(others)


def _judge(
    found: Verification, leak: Repeats, reader: LmdbReader, other: LmdbReader, allow_duplicates: bool
) -> None:
    if not leak.pictures:
        return
    text = f"{_counted(leak)} of {other.path} are in {reader.path} too{_pairs(found, leak, reader, other)}"
    if allow_duplicates:
        found.warnings.append(text)
    else:
        found.add_problem(text, leak.pictures)


def _counted(repeats: Repeats) -> str:
    details = []
    if repeats.stored_alike:
        details.append(f"{repeats.stored_alike:,} of them byte for byte")
    if repeats.labelled_otherwise:
        details.append(f"{repeats.labelled_otherwise:,} with another label")
    return f"{repeats.pictures:,} pictures" + (f" ({', '.join(details)})" if details else "")


def _pairs(found: Verification, repeats: Repeats, first: LmdbReader, second: LmdbReader) -> str:
    if found.broken:  # then numbers do not lead to records
        return ""
    pairs = [
        f"{shown_key(second.item(copy)[0])} = {shown_key(first.item(original)[0])}"
        for original, copy in repeats.first
    ]
    return ": " + "; ".join(pairs) + ("; ..." if repeats.pictures > len(pairs) else "")
