"""Images → LMDB of JPEG-encoded Datum messages, as Caffe's Data layer reads them.

The same entries, root and seed give the same records whatever the number of workers (and the same bytes with
the same OpenCV). Every image is counted: listed = written + unreadable.
"""

import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import lmdb

import batchbrew
from batchbrew import atomic
from batchbrew.dataset.description import FILE_NAME, Description, Unreadable
from batchbrew.dataset.images import ImageError, decode, encode_jpeg, read_image_bytes, resize_short_side
from batchbrew.dataset.parallel import ordered_map
from batchbrew.dataset.record_writer import MAX_IMAGES, RecordWriter
from batchbrew.dataset.sources import MAX_LABEL, Entry, shuffled
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2

BAD_SHARE = 0.01
NAMED_BAD = 3  # unreadable images named in an error

Progress = Callable[[int, int, int], None]
"""Called with images done, images in all, unreadable ones so far."""


@dataclass(frozen=True)
class BuildReport:
    """What was built, where, and in what time."""

    path: Path
    description: Description
    seconds: float


def default_max_bad(listed: int) -> int:
    """One image in a hundred, rounded up: so one of a small list, too."""
    return -(-listed // round(1 / BAD_SHARE))


def default_workers() -> int:
    """A thread for each core that this process may use."""
    return len(os.sched_getaffinity(0))


def build_lmdb(
    entries: Sequence[Entry],
    root: Path,
    out: Path,
    *,
    short_side: int = 256,
    quality: int = 95,
    seed: int | None = 0,
    workers: int | None = None,
    class_names: Sequence[str] | None = None,
    max_bad: int | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Write the images, shuffled by `seed` (None: in the order given), to a new LMDB in the folder `out`.

    An image that cannot be read is left out, counted, and named in dataset.json; more than `max_bad` of them
    (default: `default_max_bad`) end the build. Paths of the entries are relative to `root`, or absolute.
    Raises InputError for options out of range, too many unreadable images, or a disk that is full; `out` is
    then not there. It is not there either after an interrupt; what a killed build leaves, the next removes.
    """
    _check_options(entries, short_side, quality, workers, class_names, max_bad)
    started = time.monotonic()
    ordered = list(entries) if seed is None else shuffled(entries, seed)
    allowed_bad = default_max_bad(len(ordered)) if max_bad is None else max_bad
    make = _Maker(root, short_side, quality)
    with atomic.building_folder(out) as folder, _one_opencv_thread(), _writing(out):
        made = ordered_map(make, ordered, workers or default_workers())
        with contextlib.closing(made), contextlib.closing(RecordWriter(folder)) as writer:
            unreadable = _write_all(made, len(ordered), writer, allowed_bad, progress)
            writer.finish()
        description = Description(
            images=writer.images,
            classes=len(class_names) if class_names else 1 + max(entry.label for entry in ordered),
            label_counts=_label_counts(ordered, writer.label_counts, class_names),
            class_names=list(class_names) if class_names else None,
            short_side=short_side,
            quality=quality,
            seed=seed,
            unreadable=unreadable,
            total_bytes=writer.total_bytes,
            sha256=writer.digest.hexdigest(),
            version=batchbrew.__version__,
        )
        if description.listed != len(ordered) or sum(description.label_counts.values()) != writer.images:
            raise AssertionError(
                f"{len(ordered)} images listed, {writer.images} + {len(unreadable)} accounted for"
            )
        (folder / FILE_NAME).write_text(description.to_json(), encoding="utf-8")
    return BuildReport(out, description, time.monotonic() - started)


def _check_options(
    entries: Sequence[Entry],
    short_side: int,
    quality: int,
    workers: int | None,
    class_names: Sequence[str] | None,
    max_bad: int | None,
) -> None:
    if not 1 <= len(entries) <= MAX_IMAGES:
        raise InputError(f"{len(entries)} images cannot be put into an LMDB: give 1 to {MAX_IMAGES:,}")
    if not 1 <= short_side <= 4096:
        raise InputError(f"short side {short_side} cannot be used: give 1 to 4096 pixels (256 is usual)")
    if not 1 <= quality <= 100:
        raise InputError(f"JPEG quality {quality} cannot be used: give 1 to 100 (95 is usual)")
    if workers is not None and not 1 <= workers <= 1024:
        raise InputError(f"{workers} workers cannot be used: give 1 to 1024")
    if max_bad is not None and max_bad < 0:
        raise InputError(f"{max_bad} unreadable images cannot be allowed: give 0 or more")
    for entry in entries:
        if not 0 <= entry.label <= MAX_LABEL:
            raise InputError(f"{entry.path} has label {entry.label}: labels are 0 to {MAX_LABEL}")
        if class_names and entry.label >= len(class_names):
            raise InputError(
                f"{entry.path} has label {entry.label}, but there are {len(class_names)} class names"
            )


@dataclass(frozen=True)
class _Made:
    """An entry after a worker had it: the Datum, serialised, or why there is none."""

    entry: Entry
    datum: bytes
    reason: str | None


@dataclass(frozen=True)
class _Maker:
    """What a worker does with an entry; holds no state, so threads share it."""

    root: Path
    short_side: int
    quality: int

    def __call__(self, entry: Entry) -> _Made:
        try:
            image = resize_short_side(decode(read_image_bytes(self.root / entry.path)), self.short_side)
        except ImageError as error:
            return _Made(entry, b"", str(error))
        height, width, channels = image.shape
        # Caffe looks at the sizes only where the data are not encoded, and takes them where they are.
        datum = caffe_pb2.Datum(channels=channels, height=height, width=width, encoded=True)
        datum.label = entry.label
        datum.data = encode_jpeg(image, self.quality)
        return _Made(entry, datum.SerializeToString(), None)


def _write_all(
    made: Iterable[_Made], listed: int, writer: RecordWriter, allowed_bad: int, progress: Progress | None
) -> list[Unreadable]:
    """Write what was made, in order; returns the images that could not be."""
    unreadable: list[Unreadable] = []
    for done, one in enumerate(made, start=1):
        if one.reason is None:
            writer.add(one.entry, one.datum)
        else:
            unreadable.append(Unreadable(one.entry.path, one.entry.label, one.reason))
            if len(unreadable) > allowed_bad:
                raise InputError(
                    f"{len(unreadable)} of the first {done} cannot be used, where {allowed_bad} of {listed} "
                    f"may be: {_name_some(unreadable)}; check the folder, or allow more with --max-bad"
                )
        if progress is not None:
            progress(done, listed, len(unreadable))
    if not writer.images:
        raise InputError(f"none of the {listed} images can be used: {_name_some(unreadable)}")
    return unreadable


def _name_some(unreadable: Sequence[Unreadable]) -> str:
    text = "; ".join(str(bad) for bad in unreadable[:NAMED_BAD])
    return text + ("; ..." if len(unreadable) > NAMED_BAD else "")


def _label_counts(
    entries: Sequence[Entry], written: Counter[int], class_names: Sequence[str] | None
) -> dict[int, int]:
    labels = set(range(len(class_names or ()))).union(entry.label for entry in entries)
    return {label: written[label] for label in sorted(labels)}


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    """What LMDB or the system say when the disk is full, as one line."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        # LMDB reports a write that ended early as "Input/output error", so the free space is worth telling.
        try:
            free = f"{shutil.disk_usage(out.parent).free / 2**20:,.0f} MiB are free there"
        except OSError:
            free = "its file system does not answer"
        raise InputError(
            f"{out} cannot be written: {error} ({free}); make room or choose another disk"
        ) from error


@contextlib.contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads within ours would only get in each other's way."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
