"""`batchbrew lmdb verify`."""

from pathlib import Path

from batchbrew.dataset.progress import reporting
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError


def verify(path: Path, workers: int | None = None) -> None:
    """Decode every record of the LMDB `path`; print the problems, and raise InputError if there are any."""
    with reporting(f"verifying {path}") as progress:
        found = verify_lmdb(path, workers, progress)
    for problem in found.problems:
        print(problem)
    if found.problem_count:
        raise InputError(
            f"{path} has {found.problem_count} problems in {found.records} records: build it anew"
        )
    compared = "as dataset.json says" if found.described else "there is no dataset.json to compare with"
    print(f"{path}: {found.records:,} records, all can be decoded; {compared}")
