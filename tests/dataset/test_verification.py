import json
import shutil
from pathlib import Path

import lmdb
import pytest

from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from tests.dataset.lmdbs import break_page_of, change, pixel_lmdb, raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture


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


def test_labels_sizes_and_balance_are_told(tmp_path: Path) -> None:
    datums = [raw_datum(1, 2, 3, bytes([number] * 6), label=0) for number in range(11)]
    datums += [raw_datum(3, 2, 1, bytes(6), label=2)]
    found = verify_lmdb(write_lmdb(tmp_path / "db", datums))
    assert (found.problem_count, found.label_counts) == (0, {0: 11, 2: 1})
    assert found.sizes == {(2, 3, 1): 11, (2, 1, 3): 1}
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "1 of the labels 0 to 2 has no record",
        "the classes are of very different sizes",
        "there are pictures of 1 and 3 channels",
    ]


def test_a_label_without_a_name_is_a_problem(built: Path) -> None:
    path = built / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"class_names": ["a", "b"]}))
    assert verify_lmdb(built).problems == ["there are labels 2, but class names for 0 to 1 only"]


def test_keys_in_another_order_are_a_problem(tmp_path: Path) -> None:
    path = pixel_lmdb(tmp_path / "db", [0, 1, 0])
    content = (path / "data.mdb").read_bytes()
    (path / "data.mdb").write_bytes(content.replace(b"00000001_p1", b"00000007_p1"))
    assert verify_lmdb(path).problems == [
        "record 00000002_p2.png lies behind 00000007_p1.png: keys are not in order"
    ]
    (path / "data.mdb").write_bytes(content.replace(b"00000001_p1", b"00000002_p2"))
    assert verify_lmdb(path).problems == [
        "record 00000002_p2.png lies behind 00000002_p2.png: one key, twice"
    ]


def test_pictures_that_are_there_twice_are_a_warning(tmp_path: Path) -> None:
    image = picture(8, 6)
    datums = [
        caffe_pb2.Datum(data=encoded(".png", image), encoded=True, label=1),
        caffe_pb2.Datum(data=encoded(".png", picture(8, 6, 1)), encoded=True, label=1),
        raw_datum(3, 6, 8, image.transpose(2, 0, 1).tobytes(), label=0),  # the same pixels
        caffe_pb2.Datum(data=encoded(".png", picture(8, 6, 1)), encoded=True, label=1),
        caffe_pb2.Datum(data=encoded(".jpg", image), encoded=True, label=1),  # other ones
        raw_datum(3, 6, 8, b"short"),
        raw_datum(3, 6, 8, b"short"),
    ]
    found = verify_lmdb(write_lmdb(tmp_path / "db", datums), workers=2)
    assert found.problem_count == 2
    assert found.warnings == [
        "2 pictures (1 of them byte for byte, 1 with another label) repeat another one: "
        "00000002 = 00000000; 00000003 = 00000001"
    ]


def test_pictures_of_another_data_set_are_a_problem_or_allowed(tmp_path: Path) -> None:
    train = pixel_lmdb(tmp_path / "train", [0, 1, 0, 1])
    val = pixel_lmdb(tmp_path / "val", [0, 1], first=2)
    clean = pixel_lmdb(tmp_path / "clean", [0, 1], first=9)
    done: list[tuple[int, int]] = []
    found = verify_lmdb(train, 1, lambda *call: done.append(call[:2]), against=[clean, val])
    assert done == [(number, 8) for number in range(1, 9)]
    assert (found.problem_count, found.problems) == (
        2,
        [
            f"2 pictures (2 of them byte for byte) of {val} are in {train} too: "
            "00000000_p0.png = 00000002_p2.png; 00000001_p1.png = 00000003_p3.png"
        ],
    )
    assert {Path(other).name: leak.pictures for other, leak in found.leaks.items()} == {"clean": 0, "val": 2}
    allowed = verify_lmdb(train, 1, against=[val], allow_duplicates=True)
    assert (allowed.problems, len(allowed.warnings)) == ([], 1)
    change(val, b"00000001_p1.png", b"\xff")
    found = verify_lmdb(train, 1, against=[val])
    assert found.problems[0] == f"1 record of {val} cannot be decoded and compared: verify it by itself"
    assert found.problem_count == 2


def test_a_picture_in_two_shards_is_found(built: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(built, tmp_path / "set" / name)
    found = verify_lmdb(tmp_path / "set")
    assert (found.problems, found.repeats is not None and found.repeats.pictures) == ([], 6)
    with LmdbReader(built) as reader:
        assert len(found.warnings[0].split(";")) == reader.count


def test_of_a_broken_tree_the_records_before_are_checked(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [number % 3 for number in range(250)])
    sound = pixel_lmdb(tmp_path / "sound", [0, 1, 2])
    change(db, b"00000001_p1.png", b"\xff")
    break_page_of(db, b"00000249_p249.png")
    found = verify_lmdb(db, 2, against=[sound])
    assert 0 < found.records < 250
    assert (found.problem_count, found.problems[0]) == (4, "record 00000001_p1.png is not a Datum message")
    last = found.records - 1
    assert found.problems[1].startswith(
        f"behind record {last:08}_p{last}.png it cannot be read further, {250 - found.records} records are not checked"
        f": {db} is damaged (page "
    )
    assert found.problems[2] == f"2 pictures (2 of them byte for byte) of {sound} are in {db} too"
    other = verify_lmdb(sound, 2, against=[db])
    assert other.problems[0].startswith(f"{db}: behind record {last:08}_p{last}.png it cannot be read")
    assert other.problem_count == 4


def test_of_an_lmdb_whose_first_page_is_broken_nothing_is_checked(tmp_path: Path) -> None:
    db, sound = pixel_lmdb(tmp_path / "db", [0, 1]), pixel_lmdb(tmp_path / "sound", [0])
    break_page_of(db, b"00000000_p0.png")
    found = verify_lmdb(db, against=[sound])
    assert (found.records, found.problem_count, len(found.problems)) == (0, 1, 1)
    assert found.problems[0].startswith(
        "before the first record it cannot be read further, 2 records are not"
    )
