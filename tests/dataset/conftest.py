from pathlib import Path

import pytest

from batchbrew.dataset.sources import Entry
from batchbrew.dataset.writer import build_lmdb
from tests.dataset.pictures import write_pictures


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Six images, labels 0, 1, 2 twice each."""
    entries = [Entry(name, number % 3) for number, name in enumerate(write_pictures(tmp_path, 6))]
    build_lmdb(entries, tmp_path, tmp_path / "db", short_side=32)
    return tmp_path / "db"
