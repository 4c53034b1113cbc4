"""Pictures that a data set has more than once, or shares with another, as `lmdb verify` tells of them."""

from batchbrew.dataset.duplicates import Fingerprints, Repeats
from batchbrew.dataset.findings import Verification
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, shown_key
from batchbrew.dataset.record_check import checked_records
from batchbrew.errors import InputError


def compare_with(
    found: Verification,
    pictures: Fingerprints,
    reader: LmdbReader,
    other: LmdbReader,
    workers: int,
    progress: Progress | None,
    *,
    allow_duplicates: bool,
) -> Repeats:
    """Decode `other`; its pictures that are among `pictures`, those of `reader`, too: a problem, or a warning."""
    others, damaged, done, ends = Fingerprints(), 0, 0, list[InputError]()
    last: bytes | None = None
    for done, record in enumerate(checked_records(other, None, workers, ends), start=1):
        others.add(record.fingerprint, record.label)
        last = record.key
        damaged += record.size is None
        if progress is not None:
            progress(done, other.count, found.problem_count)
    for end in ends:
        found.add_end(f"{other.path}: ", end, last, other.count - done)
    if damaged:
        found.add_problem(
            f"{counted(damaged, 'record')} of {other.path} cannot be decoded and compared: verify it by itself",
            damaged,
        )
    leak = pictures.repeated_in(others)
    if leak.pictures:
        pairs = pairs_shown(found, leak, reader, other)
        verb = "is" if leak.pictures == 1 else "are"
        text = f"{pictures_counted(leak)} of {other.path} {verb} in {reader.path} too{pairs}"
        if allow_duplicates:
            found.warnings.append(text)
        else:
            found.add_problem(text, leak.pictures)
    return leak


def pictures_counted(repeats: Repeats) -> str:
    """How many, and of which kind."""
    details = []
    if repeats.stored_alike:
        details.append(f"{repeats.stored_alike:,} of them byte for byte")
    if repeats.labelled_otherwise:
        details.append(f"{repeats.labelled_otherwise:,} with another label")
    return counted(repeats.pictures, "picture") + (f" ({', '.join(details)})" if details else "")


def pairs_shown(found: Verification, repeats: Repeats, first: LmdbReader, second: LmdbReader) -> str:
    """The first ones by their keys, behind a colon: the copy, in `second`, = what it repeats."""
    if found.broken:  # then numbers do not lead to records
        return ""
    pairs = [
        f"{shown_key(second.item(copy)[0])} = {shown_key(first.item(original)[0])}"
        for original, copy in repeats.first
    ]
    return ": " + "; ".join(pairs) + ("; ..." if repeats.pictures > len(pairs) else "")
