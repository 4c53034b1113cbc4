from pathlib import Path

import pytest

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.sources import Entry, FilesSource
from tests.dataset.pictures import write_pictures


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Six images, labels 0, 1, 2 twice each."""
    entries = [Entry(name, number % 3) for number, name in enumerate(write_pictures(tmp_path, 6))]
    build_lmdb(FilesSource(entries, tmp_path), tmp_path / "db", BuildOptions(ImageOptions(side=32)))
    return tmp_path / "db"
