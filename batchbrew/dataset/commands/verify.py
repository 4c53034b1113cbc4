"""`batchbrew lmdb verify`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batchbrew.dataset.class_balance import named_label
from batchbrew.dataset.findings import Verification
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.progress import reporting
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError

SHOWN_SIZES = 3


def verify(
    path: Path,
    workers: int | None = None,
    *,
    against: Sequence[Path] = (),
    allow_duplicates: bool = False,
    as_json: bool = False,
) -> None:
    """Decode every record of the data set `path`; print what is wrong, and raise InputError if that is a problem."""
    if workers is not None and not 1 <= workers <= 1024:
        raise InputError(f"{workers} workers cannot be used: give 1 to 1024")
    with reporting(f"verifying {path}", "problems") as progress:
        found = verify_lmdb(path, workers, progress, against=against, allow_duplicates=allow_duplicates)
    if as_json:
        print(json.dumps(_fields(path, found), indent=1))
    else:
        for problem in found.problems:
            print(problem)
        for warning in found.warnings:
            print(f"warning: {warning}")
    if found.problem_count:
        problems, records = counted(found.problem_count, "problem"), counted(found.records, "record")
        raise InputError(f"{path} has {problems} in {records}: {_remedy(found, allow_duplicates)}")
    if not as_json:
        compared = "as dataset.json says" if found.described else "there is no dataset.json to compare with"
        print(f"{path}: {counted(found.records, 'record')}, all can be decoded; {compared}")
        print(f"{path}: {_labels(found)}; {_sizes(found)}")
        for other, leak in found.leaks.items():
            if not leak.pictures:
                print(f"{path}: no picture of {other} is in it")


def _remedy(found: Verification, allow_duplicates: bool) -> str:
    leaked = 0 if allow_duplicates else sum(leak.pictures for leak in found.leaks.values())
    if leaked < found.problem_count:
        return "build it anew"
    return "take the pictures that two data sets share out of one of them, or let them be with --allow-duplicates"


def _labels(found: Verification) -> str:
    counts = found.label_counts
    smallest, largest = (
        min(counts, key=lambda label: counts[label]),
        max(counts, key=lambda label: counts[label]),
    )
    small, large = (named_label(label, found.class_names) for label in (smallest, largest))
    return (
        f"{counted(len(counts), 'label')}, {min(counts)} to {max(counts)}, the smallest {small} with "
        f"{counted(counts[smallest], 'record')}, the largest {large} with {counts[largest]:,}"
    )


def _sizes(found: Verification) -> str:
    common = ", ".join(
        f"{width}×{height}×{channels} ({count:,})"
        for (height, width, channels), count in found.sizes.most_common(SHOWN_SIZES)
    )
    return f"{common}{' and other sizes' if len(found.sizes) > SHOWN_SIZES else ''}"


def _fields(path: Path, found: Verification) -> dict[str, Any]:
    return {
        "path": str(path),
        "records": found.records,
        "described": found.described,
        "problem_count": found.problem_count,
        "problems": found.problems,
        "warnings": found.warnings,
        "label_counts": found.label_counts,
        "sizes": [
            {"width": width, "height": height, "channels": channels, "records": count}
            for (height, width, channels), count in found.sizes.most_common()
        ],
        "duplicates": None if found.repeats is None else _counts(asdict(found.repeats)),
        "in_both": {other: _counts(asdict(leak)) for other, leak in found.leaks.items()},
    }


def _counts(repeats: dict[str, Any]) -> dict[str, Any]:
    return {name: count for name, count in repeats.items() if name != "first"} | {
        "first_pairs": repeats["first"]
    }
