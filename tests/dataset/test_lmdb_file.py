"""Pages of LMDBs, as the library wrote them, and damaged ones that would crash it."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from batchbrew.dataset.lmdb_cursor import LmdbCursor
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile

PAGE = 4096


def written(folder: Path, seed: int, records: int) -> dict[bytes, bytes]:
    """An LMDB of several transactions, some records written anew or deleted; keys and values of all lengths."""
    chance = random.Random(seed)
    held: dict[bytes, bytes] = {}
    with lmdb.open(str(folder), map_size=2**26) as environment:
        for _ in range(chance.randint(1, 4)):
            with environment.begin(write=True) as transaction:
                for _ in range(records):
                    key = chance.choice(
                        [b"%08d" % chance.randrange(records), chance.randbytes(chance.randint(1, 500))]
                    )
                    held[key] = chance.randbytes(chance.choice([0, 1, 60, 2000, 2030, 4080, 4081, 9000]))
                    transaction.put(key, held[key])
                for key in chance.sample(sorted(held), len(held) // 4):
                    transaction.delete(key)
                    del held[key]
    return held


@pytest.mark.parametrize(("seed", "records"), [(1, 1), (2, 2), (3, 12), (4, 200), (5, 1500)])
def test_all_that_the_library_wrote(seed: int, records: int, tmp_path: Path) -> None:
    held = written(tmp_path, seed, records)
    file = LmdbFile(tmp_path / "data.mdb")
    assert file.meta.entries == len(held)
    assert file.bytes_needed <= file.bytes_found
    assert list(LmdbCursor(file)) == sorted(held.items())
    file.close()


def test_the_library_agrees_on_levels_and_pages(tmp_path: Path) -> None:
    written(tmp_path, 5, 1500)
    with lmdb.open(str(tmp_path), readonly=True) as environment:
        stat, info = environment.stat(), environment.info()
    meta = LmdbFile(tmp_path / "data.mdb").meta
    assert meta.levels == stat["depth"] > 2
    assert (meta.page_bytes, meta.last_page) == (stat["psize"], info["last_pgno"])


def one_leaf(folder: Path) -> bytearray:
    """Records a, b and c of one page, page 2 or later; c's value lies on pages of its own."""
    with lmdb.open(str(folder), map_size=2**20) as environment, environment.begin(write=True) as transaction:
        for key, value in ((b"a", b"1"), (b"b", b"2"), (b"c", bytes(9000))):
            transaction.put(key, value)
    return bytearray((folder / "data.mdb").read_bytes())


def number_of_leaf(content: bytearray) -> int:
    metas = [struct.unpack_from("<QQQ", content, start + 128) for start in (0, PAGE)]
    root: int = max(metas, key=lambda meta: meta[2])[0]
    return root


def put(layout: str, offset: int, value: int) -> Callable[[bytearray], None]:
    """Write into the leaf."""

    def change(content: bytearray) -> None:
        struct.pack_into(layout, content, number_of_leaf(content) * PAGE + offset, value)

    return change


def put_meta(layout: str, offset: int, value: int) -> Callable[[bytearray], None]:
    """Write into both of the first pages."""

    def change(content: bytearray) -> None:
        for start in (0, PAGE):
            struct.pack_into(layout, content, start + offset, value)

    return change


def put_node(record: int, layout: str, offset: int, value: int) -> Callable[[bytearray], None]:
    """Write into a record's node."""

    def change(content: bytearray) -> None:
        leaf = number_of_leaf(content) * PAGE
        (node,) = struct.unpack_from("<H", content, leaf + 16 + 2 * record)
        struct.pack_into(layout, content, leaf + node + offset, value)

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put_meta("<I", 16, 0), "does not begin like one"),
        (put_meta("<I", 20, 2), "version 2, pages of 4096 bytes, flags 0"),
        (put_meta("<I", 40, 0), "pages of 0 bytes"),
        (put_meta("<I", 40, 2**31), "pages of 2147483648 bytes"),
        (put_meta("<H", 94, 60000), "3 records on 60000 levels"),
        (put_meta("<H", 94, 2), r"page \d is not on its level"),
        (put_meta("<Q", 120, 2**63), "9,223,372,036,854,775,808 records"),
        (put_meta("<Q", 120, 2), "more records than the 2 that it names"),
        (put_meta("<Q", 128, 10**9), "speaks of page 1000000000, but has "),
        (put_meta("<Q", 128, 0), "speaks of page 0,"),
        (put_meta("<Q", 128, 2**64 - 1), "3 records on 1 levels"),
        (put("<Q", 0, 77), "is none of the tree"),
        (put("<H", 10, 4), "is none of the tree"),
        (put("<H", 10, 1), "is not on its level"),
        (put("<H", 12, 16), "is none of the tree"),
        (put("<H", 12, 60000), "is none of the tree"),
        (put("<H", 16, 4094), "has records beyond its end"),
        (put("<H", 18, 3), "has records beyond its end"),
        (put_node(0, "<H", 6, 60000), "has a key beyond its end"),
        (put_node(0, "<H", 0, 60000), "has a value beyond its end"),
        (put_node(0, "<H", 2, 60000), "has a value beyond its end"),
        (put_node(0, "<H", 4, 2), "a record of flags 2, which no Caffe writes"),
        (put_node(2, "<Q", 9, 2**63), "has a record on pages 9223372036854775808 to 9223372036854775810"),
        (put_node(2, "<Q", 9, 2), "does not begin a value of 9,000 bytes"),
        (put_node(2, "<H", 2, 65535), r"has a record on pages \d to \d+, but there are \d"),
        (put_node(2, "<H", 0, 20000), "pages|does not begin a value"),
    ],
)
def test_what_would_crash_the_library(
    change: Callable[[bytearray], None], complaint: str, tmp_path: Path
) -> None:
    content = one_leaf(tmp_path / "sound")
    change(content)
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(LmdbDamage, match=complaint):
        list(LmdbCursor(LmdbFile(tmp_path / "data.mdb")))


def test_pages_in_a_ring(tmp_path: Path) -> None:
    """Every child of the root is the first one."""
    written(tmp_path / "sound", 4, 200)
    file = LmdbFile(tmp_path / "sound" / "data.mdb")
    root = file.page(file.meta.root)
    content = bytearray((tmp_path / "sound" / "data.mdb").read_bytes())
    first = struct.unpack_from("<HHH", root.content, root.nodes[0])
    for node in root.nodes:
        struct.pack_into("<HHH", content, file.meta.root * PAGE + node, *first)
    (tmp_path / "data.mdb").write_bytes(content)
    seen = 0
    try:
        for _ in LmdbCursor(LmdbFile(tmp_path / "data.mdb")):
            seen += 1
    except LmdbDamage:
        pass
    assert seen <= file.meta.entries


@pytest.mark.parametrize("seed", range(5))
def test_any_flipped_bits(seed: int, tmp_path: Path) -> None:
    content = one_leaf(tmp_path / "sound")
    chance = random.Random(seed)
    leaf = number_of_leaf(content) * PAGE
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(chance.choice([1, 1, 3])):
            at = chance.choice([0, PAGE, leaf]) + chance.choice(
                [chance.randrange(180), PAGE - 1 - chance.randrange(60)]
            )
            damaged[at] ^= 1 << chance.randrange(8)
        (tmp_path / "data.mdb").write_bytes(damaged)
        try:
            file = LmdbFile(tmp_path / "data.mdb")
        except LmdbDamage:
            continue
        try:
            list(LmdbCursor(file))
        except LmdbDamage:
            pass
        finally:
            file.close()
