"""`batchbrew lmdb export`."""

from pathlib import Path

from batchbrew.dataset import exporting
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.progress import reporting


def export(path: Path, out: Path, options: exporting.ExportOptions, workers: int | None = None) -> None:
    """Write the pictures of the data set `path` as files below the folder `out`."""
    with reporting(f"writing {out}") as progress:
        done = exporting.export(path, out, options, workers=workers, progress=progress)
    renamed = f", {done.renamed:,} under another name" if done.renamed else ""
    images = counted(done.images, "image")
    print(f"{out}: {images} of {path}{renamed}; {out / exporting.LIST} names them with their labels")
