"""What the tests of builds have in common: a source of pictures, and everything that a build has made."""

from pathlib import Path

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.sources import Entry, FilesSource
from tests.dataset.pictures import write_pictures

SMALL = BuildOptions(ImageOptions(side=24))


def pictures_source(root: Path, count: int, *, bad: int = 0) -> FilesSource:
    """JPEGs of 96×64 pixels with labels 0, 1, 2, 0, ...; the last `bad` ones of them are not there."""
    root.mkdir(parents=True, exist_ok=True)
    names = [*write_pictures(root, count - bad), *(f"absent {number}.jpg" for number in range(bad))]
    return FilesSource([Entry(name, number % 3) for number, name in enumerate(names)], root)


def content(path: Path) -> list[tuple[bytes, bytes]]:
    """Keys and values."""
    with LmdbReader(path) as reader:
        return list(reader.items())


def everything(path: Path) -> tuple[list[tuple[bytes, bytes]], str]:
    """Keys, values and dataset.json."""
    return content(path), (path / "dataset.json").read_text(encoding="utf-8")


def names_in(folder: Path) -> list[str]:
    """Of all that lies in it, sorted."""
    return sorted(path.name for path in folder.iterdir())
