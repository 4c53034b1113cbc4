"""`batchbrew lmdb show`."""

from pathlib import Path

from batchbrew.dataset.contact_sheet import write_contact_sheet
from batchbrew.dataset.progress import reporting


def show(path: Path, out: Path, count: int = 25, seed: int | None = None, label: int | None = None) -> None:
    """Write a contact sheet of `count` records of the data set `path` to the PNG file `out`."""
    with reporting(f"reading {path}") as progress:
        shown = write_contact_sheet(path, out, count, seed=seed, label=label, progress=progress)
    print(f"{out}: {shown} records of {path}")
