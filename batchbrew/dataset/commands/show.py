"""`batchbrew lmdb show`."""

from pathlib import Path

from batchbrew.dataset.contact_sheet import write_contact_sheet


def show(path: Path, out: Path, count: int = 25) -> None:
    """Write a contact sheet of `count` records of the LMDB `path` to the PNG file `out`."""
    shown = write_contact_sheet(path, out, count)
    print(f"{out}: {shown} records of {path}")
