import json
from pathlib import Path

import lmdb
import pytest

from batchbrew.dataset.inspection import lmdb_info, verify_lmdb
from batchbrew.dataset.sources import Entry
from batchbrew.dataset.writer import build_lmdb
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from tests.dataset.lmdbs import raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture, write_pictures


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Six images, labels 0, 1, 2 twice each."""
    entries = [Entry(name, number % 3) for number, name in enumerate(write_pictures(tmp_path, 6))]
    build_lmdb(entries, tmp_path, tmp_path / "db", short_side=32)
    return tmp_path / "db"


def change(path: Path, key: bytes, value: bytes | None) -> None:
    with lmdb.open(str(path), map_size=2**26) as environment, environment.begin(write=True) as transaction:
        assert transaction.delete(key) if value is None else transaction.put(key, value)


def test_info_of_ours(built: Path) -> None:
    info = lmdb_info(built)
    assert (info.entries, info.label_counts) == (6, {0: 2, 1: 2, 2: 2})
    assert (info.encoded, info.sampled, info.sizes) == (6, 6, {(32, 48): 6})
    assert info.mean_short_side == 32
    assert info.description is not None
    assert info.file_bytes == (built / "data.mdb").stat().st_size


def test_info_of_anybodys(tmp_path: Path) -> None:
    datums = [
        raw_datum(1, 10, 20, bytes(200), label=4),
        caffe_pb2.Datum(data=encoded(".jpg", picture(40, 60)), encoded=True, label=1),
        raw_datum(1, 20, 20, bytes(400), label=4),
    ]
    progress: list[int] = []
    info = lmdb_info(write_lmdb(tmp_path / "db", datums), lambda done, total, bad: progress.append(done))
    assert (info.label_counts, info.encoded, info.description) == ({1: 1, 4: 2}, 1, None)
    assert info.sizes == {(10, 20): 1, (60, 40): 1, (20, 20): 1}
    assert info.mean_short_side == pytest.approx((10 + 40 + 20) / 3)
    assert progress == [1, 2, 3]


def test_info_counts_itself_where_the_description_disagrees(built: Path) -> None:
    with lmdb.open(str(built), map_size=2**26) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"99999999", raw_datum(1, 1, 1, b"x", label=8).SerializeToString())
    assert lmdb_info(built).label_counts == {0: 2, 1: 2, 2: 2, 8: 1}


def test_info_names_a_damaged_record(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="record 00000000 is not a Datum"):
        lmdb_info(write_lmdb(tmp_path / "db", [b"\xff\xff"]))


def test_verify_whole(built: Path) -> None:
    found = verify_lmdb(built, workers=2)
    assert (found.records, found.described, found.problem_count) == (6, True, 0)


def test_verify_without_description(tmp_path: Path) -> None:
    found = verify_lmdb(write_lmdb(tmp_path / "db", [raw_datum(1, 1, 1, b"x")]))
    assert (found.records, found.described, found.problems) == (1, False, [])


def test_verify_finds_a_damaged_and_a_missing_record(built: Path) -> None:
    with lmdb.open(str(built), readonly=True) as environment, environment.begin() as transaction:
        items = list(transaction.cursor())
    (first, value), (second, _) = items[:2]
    change(built, first, value[:-300])
    found = verify_lmdb(built)
    assert "record 00000000_" in found.problems[0]
    assert "checksum" in found.problems[-1]

    change(built, first, value)
    assert verify_lmdb(built).problems == []
    change(built, second, None)
    problems = verify_lmdb(built).problems
    assert problems[0] == "dataset.json speaks of 6 images, but there are 5"
    assert len(problems) == 3  # the label of the missing one, and the checksum


def test_verify_finds_a_changed_pixel(built: Path) -> None:
    with lmdb.open(str(built), readonly=True) as environment, environment.begin() as transaction:
        (key, value), (_, other) = list(transaction.cursor())[:2]
    datum, donor = caffe_pb2.Datum.FromString(value), caffe_pb2.Datum.FromString(other)
    datum.data = donor.data
    change(built, key, datum.SerializeToString())
    assert verify_lmdb(built).problems == [
        "the records are not those that were built: their checksum differs from dataset.json's"
    ]


def test_verify_finds_negative_labels_and_limits_what_it_names(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", [raw_datum(1, 1, 1, b"x", label=-1)] * 30)
    found = verify_lmdb(path)
    assert (found.problem_count, len(found.problems)) == (30, 20)
    assert found.problems[0] == "record 00000000 has the negative label -1"


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"images": 1}', '"unreadable"'])
def test_description_that_is_none(built: Path, text: str) -> None:
    (built / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=r"dataset\.json does not describe a data set|dataset\.json is not"):
        lmdb_info(built)
    assert len(verify_lmdb(built).problems) == 1


def test_description_with_a_wrong_type(built: Path) -> None:
    fields = json.loads((built / "dataset.json").read_text())
    (built / "dataset.json").write_text(json.dumps(fields | {"images": "6"}))
    with pytest.raises(InputError, match="images is '6'"):
        lmdb_info(built)
