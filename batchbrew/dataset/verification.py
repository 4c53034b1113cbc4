"""Whether all of an LMDB can be used, or of several that are one set, and what else it has pictures of."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchbrew.dataset.class_balance import label_warnings, labels_beyond
from batchbrew.dataset.description import Description, read_description
from batchbrew.dataset.duplicates import Fingerprints
from batchbrew.dataset.findings import NAMED_PROBLEMS, Verification
from batchbrew.dataset.inspection import further
from batchbrew.dataset.label_ranges import in_ranges
from batchbrew.dataset.overlap import compare_with, pairs_shown, pictures_counted
from batchbrew.dataset.parallel import default_workers
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, shown_key
from batchbrew.dataset.record_check import checked_records
from batchbrew.dataset.shards import lmdbs_in
from batchbrew.errors import InputError


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
            found.leaks[str(other_path)] = compare_with(
                found,
                pictures,
                reader,
                other,
                threads,
                further(progress, done, whole),
                allow_duplicates=allow_duplicates,
            )
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
        for records, record in enumerate(checked_records(reader, digest.update, workers, ends), start=1):
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
        verb = "repeats" if repeats.pictures == 1 else "repeat"
        pairs = pairs_shown(found, repeats, reader, reader)
        found.warnings.append(f"{pictures_counted(repeats)} {verb} another one{pairs}")
