"""What `lmdb verify` finds out about one record."""

from dataclasses import dataclass

from batchbrew.dataset.duplicates import UNKNOWN, Fingerprint, fingerprint
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.reader import datum_image, parse_datum


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
