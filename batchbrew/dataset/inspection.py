"""What is in an LMDB, or in several that are one set."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset.combining import description_of_set
from batchbrew.dataset.description import Description, read_description
from batchbrew.dataset.images import ImageError, Unsuitable, check_header
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, datum_size, parse_datum, shown_key
from batchbrew.dataset.shards import DATA_FILE, lmdbs_in
from batchbrew.dataset.tree_sample import spread_records
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

SAMPLED = 1000  # records: some seconds on a slow disk
RAW, FLOATS = "raw", "floats"


@dataclass(frozen=True)
class LmdbInfo:
    """What `lmdb info` shows of an LMDB, or of several that are one set."""

    path: Path
    shards: int
    entries: int
    file_bytes: int
    label_counts: dict[int, int]
    labelled: int
    """Of how many records these are the labels: all, unless nobody has counted them."""
    sampled: int
    """Records that were looked at for what follows."""
    kinds: Counter[str]
    """JPEG, PNG, ... of encoded ones; raw; floats."""
    sizes: Counter[tuple[int, int]]
    """(height, width) → how many."""
    first_key: str
    description: Description | None
    """Of a set: what its LMDBs have in common, and their sums; None if one has none."""
    class_names: list[str] | None

    @property
    def encoded(self) -> int:
        """Of the sampled records, how many are encoded images (JPEG, PNG) rather than raw pixels."""
        return self.sampled - self.kinds[RAW] - self.kinds[FLOATS]

    @property
    def mean_short_side(self) -> float:
        """Of the sampled records."""
        return sum(min(size) * count for size, count in self.sizes.items()) / self.sampled


def lmdb_info(path: Path, progress: Progress | None = None, *, full: bool = False) -> LmdbInfo:
    """Look at up to 1,000 records spread over the LMDB, or over each of a set; at all of them if it is to be `full`.

    The labels are those of dataset.json where there is one that agrees with the number of records, else those of the
    records that were looked at. Raises InputError for a damaged LMDB.
    """
    shards = lmdbs_in(path)
    with LmdbReader(path) as reader:
        whole = reader.count
    infos: list[LmdbInfo] = []
    for shard in shards:
        before = sum(each.entries for each in infos)
        infos.append(_info(shard, further(progress, before, whole), full))
    return infos[0] if list(shards) == [path] else _together(path, infos)


def _info(path: Path, progress: Progress | None, full: bool) -> LmdbInfo:
    with LmdbReader(path) as reader:
        count = reader.count
        description = read_description(path)
        seen = _Seen()
        if full:
            seen.look(path, reader.items(), count, progress)
        else:
            with _sampling(path) as sample:
                seen.look(path, sample(min(SAMPLED, count)), min(SAMPLED, count), None)
    told = None if full or description is None or description.images != count else description.label_counts
    return LmdbInfo(
        path=path,
        shards=1,
        entries=count,
        file_bytes=(path / DATA_FILE).stat().st_size,
        label_counts=dict(sorted((seen.labels if told is None else told).items())),
        labelled=seen.count if told is None else count,
        sampled=seen.count,
        kinds=seen.kinds,
        sizes=seen.sizes,
        first_key=seen.first_key,
        description=description,
        class_names=None if description is None else description.class_names,
    )


class _Seen:
    """What records look like, counted."""

    def __init__(self) -> None:
        self.count = 0
        self.labels: Counter[int] = Counter()
        self.kinds: Counter[str] = Counter()
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.first_key = ""

    def look(
        self, path: Path, items: Iterable[tuple[bytes, bytes]], whole: int, progress: Progress | None
    ) -> None:
        for key, value in items:
            self.first_key = self.first_key or shown_key(key)
            with naming(path, key):
                self._count(parse_datum(value))
            if progress is not None:
                progress(self.count, whole, 0)

    def _count(self, datum: pb.Datum) -> None:
        if not datum.data and not datum.float_data:
            raise ImageError("holds no picture (is this an LMDB of Datum messages?)")
        self.count += 1
        self.labels[datum.label] += 1
        self.sizes[datum_size(datum)] += 1
        self.kinds[check_header(datum.data).kind if datum.encoded else RAW if datum.data else FLOATS] += 1


@contextlib.contextmanager
def _sampling(path: Path) -> Iterator[Callable[[int], Iterator[tuple[bytes, bytes]]]]:
    """Yield what gives so many records from all over the LMDB; what goes wrong is an InputError."""
    try:
        file = LmdbFile(path / DATA_FILE)
        with contextlib.closing(file):
            yield lambda wanted: spread_records(file, wanted)
    except LmdbDamage as damage:
        raise InputError(f"{path} is damaged ({damage}): build it anew") from damage
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _together(path: Path, infos: Sequence[LmdbInfo]) -> LmdbInfo:
    """Names of classes are kept where all have the same."""
    labels: Counter[int] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    kinds: Counter[str] = Counter()
    for info in infos:
        labels.update(info.label_counts)
        sizes.update(info.sizes)
        kinds.update(info.kinds)
    names = infos[0].class_names
    told = [info.description for info in infos if info.description is not None]
    return LmdbInfo(
        path=path,
        shards=len(infos),
        entries=sum(info.entries for info in infos),
        file_bytes=sum(info.file_bytes for info in infos),
        label_counts=dict(sorted(labels.items())),
        labelled=sum(info.labelled for info in infos),
        sampled=sum(info.sampled for info in infos),
        kinds=kinds,
        sizes=sizes,
        first_key=infos[0].first_key,
        description=description_of_set(told) if len(told) == len(infos) else None,
        class_names=names if all(info.class_names == names for info in infos) else None,
    )


@contextlib.contextmanager
def naming(path: Path, key: bytes) -> Iterator[None]:
    """What is wrong with a picture becomes an InputError that names its record."""
    try:
        yield
    except Unsuitable as error:
        raise InputError(f"{path}: record {shown_key(key)} {error}") from error
    except ImageError as error:
        raise InputError(
            f"{path}: record {shown_key(key)} {error}; `batchbrew lmdb verify` lists all that cannot be used"
        ) from error


def further(progress: Progress | None, before: int, whole: int) -> Progress | None:
    """For one LMDB of a set of `whole` records: those `before` it are done."""
    if progress is None:
        return None
    return lambda done, total, bad: progress(before + done, whole, bad)
