"""What `lmdb verify` finds out about one record, and about all of an LMDB, one after another."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchbrew.dataset.duplicates import UNKNOWN, Fingerprint, fingerprint
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.parallel import ordered_map
from batchbrew.dataset.reader import LmdbReader, datum_image, parse_datum
from batchbrew.errors import InputError


@dataclass(frozen=True)
class CheckedRecord:
    """A record after it was parsed and decoded."""

    key: bytes
    label: int
    """0 where the value is no Datum."""
    size: tuple[int, int, int] | None
    """Height, width and channels; None where they are not known."""
    fingerprint: Fingerprint
    problem: str | None
    """What is wrong with it, to be said behind its name."""


def check_record(item: tuple[bytes, bytes]) -> CheckedRecord:
    """Of a key and its value; never raises for what is in them."""
    key, value = item
    label = 0
    try:
        datum = parse_datum(value)
        label = datum.label
        image = datum_image(datum)
    except ImageError as error:
        return CheckedRecord(key, label, None, UNKNOWN, str(error))
    height, width, channels = image.shape
    problem = f"has the negative label {label}" if label < 0 else None
    stored = datum.data or b""  # floats are known by their pixels
    return CheckedRecord(key, label, (height, width, channels), fingerprint(image, stored), problem)


def checked_records(
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
