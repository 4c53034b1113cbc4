from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import lmdb
import pytest

from batchbrew.dataset import tree_sample
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile
from batchbrew.dataset.tree_sample import spread_records

RECORDS = 5000


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of several levels: every other record is large, and they are not put in in order."""
    path = tmp_path_factory.mktemp("numbered")
    with lmdb.open(str(path), map_size=2**27) as environment, environment.begin(write=True) as transaction:
        for number in range(RECORDS):
            mixed = number * 1999 % RECORDS
            transaction.put(b"%08d" % mixed + b"x" * 90, b"%d" % mixed + bytes(3000 * (mixed % 2)))
    return path / "data.mdb"


@pytest.fixture
def file(numbered: Path) -> Iterator[LmdbFile]:
    opened = LmdbFile(numbered)
    yield opened
    opened.close()


def numbers(file: LmdbFile, wanted: int) -> list[int]:
    found = []
    for key, value in spread_records(file, wanted):
        assert bytes(value).rstrip(b"\0") == b"%d" % int(key[:8])
        found.append(int(key[:8]))
    return found


@pytest.mark.parametrize("wanted", [1, 300, 1000, RECORDS - 1])
def test_where_leaves_are_counted_distances_are_even(file: LmdbFile, wanted: int) -> None:
    assert file.meta.levels >= 3
    assert numbers(file, wanted) == [number * RECORDS // wanted for number in range(wanted)]


def test_all_of_a_small_one(file: LmdbFile) -> None:
    assert numbers(file, RECORDS) == numbers(file, 10**9) == list(range(RECORDS))


def test_with_many_leaves_they_are_taken_for_equal(file: LmdbFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_sample, "COUNTED_LEAVES", 0)
    read: list[int] = []
    page = file.page
    monkeypatch.setattr(file, "page", lambda number: read.append(number) or page(number))  # type: ignore[func-returns-value]
    found = numbers(file, 20)
    assert found == sorted(set(found))
    assert len(found) == 20
    assert max(after - before for before, after in pairwise(found)) < 2 * RECORDS / 20
    assert found[0] < 100 and found[-1] > RECORDS * 0.85
    assert len(read) < 60  # the inner pages, and a leaf for each


def test_a_damaged_tree_is_said_to_be(numbered: Path, tmp_path: Path) -> None:
    content = bytearray(numbered.read_bytes())
    opened = LmdbFile(numbered)
    start = opened.meta.root * opened.meta.page_bytes
    opened.close()
    content[start + 10] ^= 3  # a branch becomes a leaf
    (tmp_path / "data.mdb").write_bytes(content)
    broken = LmdbFile(tmp_path / "data.mdb")
    with pytest.raises(LmdbDamage):
        list(spread_records(broken, 10))
    broken.close()
