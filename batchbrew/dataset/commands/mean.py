"""`batchbrew lmdb mean`."""

from pathlib import Path

from batchbrew.dataset.mean_file import Frame, write_mean
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.progress import reporting


def mean(path: Path, out: Path, frame: Frame, *, workers: int | None = None, force: bool = False) -> None:
    """Write the mean picture of the data set `path`; print what of it goes into a prototxt."""
    with reporting(f"adding up {path}") as progress:
        found = write_mean(path, out, frame, workers=workers, force=force, progress=progress)
    channels, height, width = found.values.shape
    images = counted(found.images, "image")
    print(f"{out}: the mean of {images}, {channels}×{height}×{width}; of each channel, for a prototxt:")
    for value in found.per_channel:
        print(f"mean_value: {value:.6g}")
