import shutil
from pathlib import Path

import lmdb
import pytest

from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from tests.dataset.lmdbs import change, raw_datum, write_lmdb


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


def test_a_set_is_verified_one_after_another(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "set" / "a")
    write_lmdb(tmp_path / "set" / "b", [raw_datum(1, 1, 1, b"x", label=-1)] * 2)
    done: list[tuple[int, int]] = []
    found = verify_lmdb(tmp_path / "set", 1, lambda *progress: done.append(progress[:2]))
    assert (found.records, found.described, found.problem_count) == (8, False, 2)
    assert found.problems[0] == "b: record 00000000 has the negative label -1"
    assert done == [(number, 8) for number in range(1, 9)]
    (tmp_path / "set" / "b" / "data.mdb").write_bytes(b"")
    with pytest.raises(InputError, match=r"/b cannot be opened as an LMDB"):
        verify_lmdb(tmp_path / "set")
