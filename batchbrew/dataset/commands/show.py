"""`batchbrew lmdb show`."""

from pathlib import Path

from batchbrew.dataset.contact_sheet import write_contact_sheet
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.progress import reporting
from batchbrew.errors import InputError, printable


def show(
    path: Path,
    out: Path,
    count: int = 25,
    seed: int | None = None,
    label: int | None = None,
    *,
    force: bool = False,
) -> None:
    """Write a contact sheet of `count` records of the data set `path` to the PNG file `out`.

    Raises InputError when it is written if records that should be on it are damaged; each is printed.
    """
    with reporting(f"reading {path}") as progress:
        shown = write_contact_sheet(path, out, count, seed=seed, label=label, force=force, progress=progress)
    print(f"{out}: {counted(shown.records, 'record')} of {path}")
    for one in shown.left_out:
        print(printable(f"left out: {one}"))
    if shown.left_out:
        raise InputError(
            f"{counted(len(shown.left_out), 'damaged record')} of {path} cannot be shown on {out}: `batchbrew lmdb "
            "verify` lists all that is wrong"
        )
