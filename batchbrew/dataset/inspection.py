"""What is in an LMDB, or in several that are one set."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset.description import Description, read_description
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.reader import LmdbReader, datum_size, parse_datum, printable
from batchbrew.dataset.shards import DATA_FILE, lmdbs_in
from batchbrew.dataset.writer import Progress
from batchbrew.errors import InputError

SAMPLED_SIZES = 500


@dataclass(frozen=True)
class LmdbInfo:
    """What `lmdb info` shows of an LMDB, or of several that are one set."""

    path: Path
    shards: int
    entries: int
    file_bytes: int
    label_counts: dict[int, int]
    encoded: int
    """Of the sampled records, how many are encoded images (JPEG, PNG) rather than raw pixels."""
    sampled: int
    sizes: Counter[tuple[int, int]]
    """Of the sampled records: (height, width) → how many."""
    description: Description | None
    """None for a set."""
    class_names: list[str] | None

    @property
    def mean_short_side(self) -> float:
        """Of the sampled records."""
        return sum(min(size) * count for size, count in self.sizes.items()) / self.sampled


def lmdb_info(path: Path, progress: Progress | None = None) -> LmdbInfo:
    """Count labels, and look at the sizes of up to 500 records spread over the LMDB, or over each of a set.

    The labels are those of dataset.json where there is one that agrees with the number of records; else every
    record is read. Raises InputError for a damaged LMDB.
    """
    shards = lmdbs_in(path)
    if list(shards) == [path]:
        return _info(path, progress)
    with LmdbReader(path) as reader:
        whole = reader.count
    infos: list[LmdbInfo] = []
    for shard in shards:
        infos.append(_info(shard, further(progress, sum(each.entries for each in infos), whole)))
    return _together(path, infos)


def _info(path: Path, progress: Progress | None) -> LmdbInfo:
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
        return LmdbInfo(
            path=path,
            shards=1,
            entries=reader.count,
            file_bytes=(path / DATA_FILE).stat().st_size,
            label_counts=label_counts,
            encoded=encoded,
            sampled=sizes.total(),
            sizes=sizes,
            description=description,
            class_names=None if description is None else description.class_names,
        )


def _together(path: Path, infos: Sequence[LmdbInfo]) -> LmdbInfo:
    """Names of classes are kept where all have the same."""
    labels: Counter[int] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    for info in infos:
        labels.update(info.label_counts)
        sizes.update(info.sizes)
    names = infos[0].class_names
    return LmdbInfo(
        path=path,
        shards=len(infos),
        entries=sum(info.entries for info in infos),
        file_bytes=sum(info.file_bytes for info in infos),
        label_counts=dict(sorted(labels.items())),
        encoded=sum(info.encoded for info in infos),
        sampled=sum(info.sampled for info in infos),
        sizes=sizes,
        description=None,
        class_names=names if all(info.class_names == names for info in infos) else None,
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


def further(progress: Progress | None, before: int, whole: int) -> Progress | None:
    """For one LMDB of a set of `whole` records: those `before` it are done."""
    if progress is None:
        return None
    return lambda done, total, bad: progress(before + done, whole, bad)
