"""An LMDB grows, in the order that was promised, from where an earlier build left it."""

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from batchbrew import atomic
from batchbrew.dataset.building.journal import Journal, JournalDamage
from batchbrew.dataset.building.making_records import Maker, made_bytes
from batchbrew.dataset.building.partial import Partial
from batchbrew.dataset.building.pipeline import Work, in_order
from batchbrew.dataset.building.record_writer import RecordWriter
from batchbrew.dataset.building.tally import Tally
from batchbrew.dataset.description import Unreadable
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile
from batchbrew.dataset.making import Made
from batchbrew.dataset.progress import Meter
from batchbrew.dataset.reader import LmdbReader, parse_datum
from batchbrew.dataset.shards import DATA_FILE, LOCK_FILE
from batchbrew.dataset.sources import Source
from batchbrew.errors import InputError

COMMIT_SECONDS = 10.0  # what is lost by a kill where pictures come slowly
NEWBORN_BYTES = 2 * 65_536  # the two first pages of an LMDB, at the largest size of pages
NAMED_BAD = 3  # in errors


class NothingUsable(InputError):
    """Of all the pictures none can be used."""


class Growing:
    """The LMDB in `partial`, from its first record or from where it is, to all entries of `order`."""

    def __init__(self, partial: Partial, source: Source, order: Sequence[int]) -> None:
        self._partial, self._source, self._order = partial, source, order
        self._batch = Tally()
        self.tally = Tally()
        self._journal = Journal(partial.journal)
        self._writer: RecordWriter | None = None
        try:
            progress = self._journal.go_back_to(_records_in(partial.growing))
            self.tally = progress.tally
            self.position = self._journaled = progress.position
            if not progress.images:
                shutil.rmtree(partial.growing, ignore_errors=True)
                partial.growing.mkdir()
            (partial.growing / LOCK_FILE).unlink(missing_ok=True)  # of a process that is gone
            self._writer = RecordWriter(partial.growing, durable=True, before_commit=self._note)
            for folder in (partial.growing, partial.folder):  # their files' names, too, survive a power cut
                atomic.fsync_directory(folder)
            if progress.images:
                _count_again(self._writer, partial.growing)
        except BaseException as error:
            self.close()
            if isinstance(error, JournalDamage | LmdbDamage):
                raise InputError(
                    f"{partial.folder} cannot be gone on with ({error}): begin anew with --force"
                ) from error
            raise

    @property
    def writer(self) -> RecordWriter:
        """The LMDB's."""
        assert self._writer is not None
        return self._writer

    @property
    def quarantined(self) -> int:
        """Pictures left out so far."""
        return len(self.tally.quarantined) + len(self._batch.quarantined)

    def close(self) -> None:
        """Close the files, in whatever state they are."""
        if self._writer is not None:
            self._writer.close()
        self._journal.close()

    def unreadable(self) -> list[Unreadable]:
        """Those of `quarantined`, by name."""
        return [
            Unreadable(*self._source.entries[index], reason)
            for index, reason in (*self.tally.quarantined, *self._batch.quarantined)
        ]

    def grow(self, maker: Maker, workers: int, max_bad: int | None, meter: Meter | None) -> None:
        """Add what is missing. Raises InputError where more than `max_bad` pictures, NothingUsable where all are bad.

        What the source has refused counts.
        """
        start = self.position
        work: Work[Made | ImageError] = Work(
            count=len(self._order) - start,
            do=lambda number: maker.make(self._order[start + number]),
            input_bytes=lambda number: maker.input_bytes(self._order[start + number]),
            result_bytes=made_bytes,
        )
        self._refuse_too_many_bad(max_bad)  # of a build that is gone on with and may have fewer now
        self._tell(meter)
        committed = time.monotonic()
        with contextlib.closing(in_order(work, workers)) as results:
            for result in results:
                self._take(result)
                self._refuse_too_many_bad(max_bad)
                self._tell(meter)
                if time.monotonic() - committed > COMMIT_SECONDS:
                    self.writer.commit()
                    committed = time.monotonic()
        self.writer.finish()
        if not self.writer.images:
            raise NothingUsable(
                f"none of the {len(self._order):,} images can be used: {name_some(self.unreadable())}"
            )

    def _take(self, result: Made | ImageError) -> None:
        index = self._order[self.position]
        self.position += 1
        if isinstance(result, ImageError):
            self._batch.quarantined.append((index, str(result)))
        else:
            self._batch.add(index, result)
            self.writer.add(*self._source.entries[index], result.datum)

    def _note(self) -> None:
        """Before each transaction."""
        if self.position > self._journaled:
            self._journal.append(self.position, self.writer.images, self._batch)
            self.tally.merge(self._batch)
            self._batch, self._journaled = Tally(), self.position

    def _tell(self, meter: Meter | None) -> None:
        if meter is not None:
            meter(self.position, len(self._order), self.quarantined, self.writer.total_bytes)

    def _refuse_too_many_bad(self, max_bad: int | None) -> None:
        refused = len(self._source.refused)
        if max_bad is None or self.quarantined + refused <= max_bad:
            return
        besides = f" besides {refused:,} refused" if refused else ""
        raise InputError(
            f"{self.quarantined:,} of the first {self.position:,} images cannot be used{besides}, where {max_bad:,} "
            f"may be left out: {name_some(self.unreadable())}; mend the source and begin anew with --force, or go on "
            "with --resume and a larger --max-bad"
        )


def name_some(unreadable: Sequence[Unreadable]) -> str:
    """The first ones, for a message."""
    text = "; ".join(str(bad) for bad in unreadable[:NAMED_BAD])
    return text + ("; ..." if len(unreadable) > NAMED_BAD else "")


def _records_in(folder: Path) -> int:
    """How many records were committed; 0 where the LMDB had only just been made. Raises LmdbDamage."""
    path = folder / DATA_FILE
    if not path.exists():
        return 0
    try:
        file = LmdbFile(path)
    except LmdbDamage:
        if path.stat().st_size <= NEWBORN_BYTES:
            return 0
        raise
    try:
        return file.meta.entries
    finally:
        file.close()


def _count_again(writer: RecordWriter, folder: Path) -> None:
    """Take the records that are there into the counts and the digest of `writer`. Raises InputError for damage."""
    with LmdbReader(folder) as reader:
        for key, value in reader.items():
            writer.count_in(key, value, parse_datum(value).label)
