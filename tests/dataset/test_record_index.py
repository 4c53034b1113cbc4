"""Records by number, in any order, from threads and forks; damage that is met on the way."""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchbrew.dataset.lmdb_cursor import LmdbCursor
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile
from batchbrew.dataset.record_index import RecordIndex, _Walk
from tests.dataset.test_lmdb_file import number_of_leaf, one_leaf, put_meta, put_node, written


@pytest.mark.parametrize(("seed", "records"), [(1, 1), (2, 2), (3, 12), (4, 200), (5, 1500)])
def test_any_record_in_any_order(seed: int, records: int, tmp_path: Path) -> None:
    held = sorted(written(tmp_path, seed, records).items())
    file = LmdbFile(tmp_path / "data.mdb")
    index = RecordIndex(file)
    for number in random.Random(seed).sample(range(len(held)), len(held)):
        assert index.item(number) == held[number]
    straight = RecordIndex(file)
    assert [straight.item(number) for number in range(len(held))] == held
    assert RecordIndex(file).value(len(held) - 1) == held[-1][1]
    with pytest.raises(LmdbDamage, match=rf"its record {len(held)} is not there"):
        index.item(len(held))
    assert index.item(0) == held[0]


def test_from_several_threads(tmp_path: Path) -> None:
    held = sorted(written(tmp_path, 5, 1500).items())
    index = RecordIndex(LmdbFile(tmp_path / "data.mdb"))
    begin = threading.Barrier(4)

    def read(seed: int) -> bool:
        begin.wait()
        numbers = random.Random(seed).choices(range(len(held)), k=500)
        return all(index.item(number) == held[number] for number in numbers)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_in_the_midst_of_a_walk(tmp_path: Path) -> None:
    held = sorted(written(tmp_path, 4, 200).items())
    index = RecordIndex(LmdbFile(tmp_path / "data.mdb"))
    assert index.item(0) == held[0]
    index._walk._lock.acquire()  # as a thread of the parent may have at the moment of the fork
    child = os.fork()
    if child == 0:
        os._exit(0 if index.item(len(held) - 1) == held[-1] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_damage_is_found_again_and_what_lies_before_it_can_be_read(tmp_path: Path) -> None:
    held = sorted(written(tmp_path / "sound", 4, 200).items())
    content = bytearray((tmp_path / "sound" / "data.mdb").read_bytes())
    cursor = LmdbCursor(LmdbFile(tmp_path / "sound" / "data.mdb"))
    leaves = [cursor.leaf() for _ in range(9) if cursor.next_leaf()]
    before = sum(len(leaf.nodes) for leaf in leaves[:-1])
    leaf = leaves[-1]
    content[leaf.number * 4096 + 10] = 4  # it says that it is no page of the tree
    (tmp_path / "data.mdb").write_bytes(content)
    index = RecordIndex(LmdbFile(tmp_path / "data.mdb"))
    for _ in range(2):
        with pytest.raises(LmdbDamage, match=f"page {leaf.number} is none of the tree"):
            index.item(before)
        assert index.item(before - 1) == held[before - 1]


def test_fewer_and_more_records_than_are_named(tmp_path: Path) -> None:
    content = one_leaf(tmp_path / "sound")
    put_meta("<Q", 120, 4)(content)
    (tmp_path / "data.mdb").write_bytes(content)
    index = RecordIndex(LmdbFile(tmp_path / "data.mdb"))
    for _ in range(2):
        with pytest.raises(LmdbDamage, match="its record 3 is not there"):
            index.item(3)
        assert index.item(1) == (b"b", b"2")


def test_branches_with_one_child_again_and_again(tmp_path: Path) -> None:
    """What has more records than the file says is not followed to its end."""
    held = written(tmp_path / "sound", 4, 200)
    file = LmdbFile(tmp_path / "sound" / "data.mdb")
    sound = (tmp_path / "sound" / "data.mdb").read_bytes()
    root = file.page(file.meta.root)
    complaints = set()
    for child in root.nodes:
        content = bytearray(sound)
        for node in root.nodes:
            at = file.meta.root * 4096 + node
            content[at : at + 6] = root.content[child : child + 6]
        (tmp_path / "data.mdb").write_bytes(content)
        walk = _Walk(LmdbFile(tmp_path / "data.mdb"))
        with pytest.raises(LmdbDamage) as caught:
            walk.find(len(held))
        complaints.add(str(caught.value))
        assert walk._firsts[-1] <= len(held)
    assert f"there are more records than the {len(held)} that it names" in complaints


def test_a_damaged_record_among_sound_ones(tmp_path: Path) -> None:
    content = one_leaf(tmp_path / "sound")
    put_node(0, "<H", 0, 60000)(content)
    assert number_of_leaf(content) > 1
    (tmp_path / "data.mdb").write_bytes(content)
    index = RecordIndex(LmdbFile(tmp_path / "data.mdb"))
    with pytest.raises(LmdbDamage, match="has a value beyond its end"):
        index.value(0)
    assert index.value(1) == b"2"
