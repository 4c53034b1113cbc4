import json
import shutil
from pathlib import Path

import lmdb
import pytest

from batchbrew.dataset import inspection
from batchbrew.dataset.inspection import lmdb_info
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from tests.dataset.lmdbs import pixel_lmdb, raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture


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
    assert progress == []  # nothing that would take long


def test_info_counts_itself_where_the_description_disagrees(built: Path) -> None:
    with lmdb.open(str(built), map_size=2**26) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"99999999", raw_datum(1, 1, 1, b"x", label=8).SerializeToString())
    assert lmdb_info(built).label_counts == {0: 2, 1: 2, 2: 2, 8: 1}


def test_info_names_a_damaged_record(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="record 00000000 is not a Datum message; `batchbrew lmdb verify` lists"
    ):
        lmdb_info(write_lmdb(tmp_path / "db", [b"\xff\xff"]))


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


def test_info_of_a_set(built: Path, tmp_path: Path) -> None:
    names = built / "dataset.json"
    names.write_text(json.dumps(json.loads(names.read_text()) | {"class_names": ["ant", "bee", "cat"]}))
    for name in ("x2", "x10"):
        shutil.copytree(built, tmp_path / "set" / name)
    info = lmdb_info(tmp_path / "set")
    assert (info.shards, info.entries, info.label_counts) == (2, 12, {0: 4, 1: 4, 2: 4})
    assert (info.encoded, info.sampled, info.sizes, info.mean_short_side) == (12, 12, {(32, 48): 12}, 32)
    assert info.file_bytes == 2 * (built / "data.mdb").stat().st_size
    assert info.class_names == ["ant", "bee", "cat"]
    one, both = lmdb_info(built).description, info.description
    assert one is not None and both is not None
    assert (both.images, both.kinds, both.sha256) == (12, {"JPEG": 12}, "")
    assert (both.source, both.mean, both.std) == (one.source, one.mean, one.std)
    write_lmdb(tmp_path / "set" / "y", [raw_datum(1, 1, 1, b"x", label=7)])
    done: list[tuple[int, int]] = []
    info = lmdb_info(tmp_path / "set", lambda *progress: done.append(progress[:2]), full=True)
    assert (info.entries, info.label_counts[7], info.class_names, info.description) == (13, 1, None, None)
    assert done == [(number, 13) for number in range(1, 14)]


def test_of_many_records_a_sample_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SAMPLED", 10)
    db = pixel_lmdb(tmp_path / "db", [number // 10 for number in range(100)])
    info = lmdb_info(db)
    assert (info.entries, info.labelled, info.sampled) == (100, 10, 10)
    assert info.label_counts == dict.fromkeys(range(10), 1)
    full = lmdb_info(db, full=True)
    assert (full.labelled, full.sampled, full.label_counts) == (100, 100, dict.fromkeys(range(10), 10))


def test_counts_of_the_description_are_not_believed_when_all_is_counted(built: Path) -> None:
    fields = json.loads((built / "dataset.json").read_text())
    (built / "dataset.json").write_text(json.dumps(fields | {"label_counts": {"0": 6}}))
    assert lmdb_info(built).label_counts == {0: 6}
    assert lmdb_info(built, full=True).label_counts == {0: 2, 1: 2, 2: 2}


def test_kinds_of_records(tmp_path: Path) -> None:
    datums = [
        raw_datum(1, 1, 1, b"x"),
        caffe_pb2.Datum(channels=1, height=1, width=1, float_data=[1.0]),
        caffe_pb2.Datum(data=encoded(".png"), encoded=True),
        caffe_pb2.Datum(data=encoded(".jpg"), encoded=True),
    ]
    info = lmdb_info(write_lmdb(tmp_path / "db", datums))
    assert (info.kinds, info.encoded) == ({"raw": 1, "floats": 1, "PNG": 1, "JPEG": 1}, 2)
    other = caffe_pb2.LayerParameter(name="of another message")
    with pytest.raises(InputError, match="record 00000000 "):
        lmdb_info(write_lmdb(tmp_path / "other", [other.SerializeToString()]))
    with pytest.raises(InputError, match="holds no picture"):
        lmdb_info(write_lmdb(tmp_path / "empty", [caffe_pb2.Datum(label=3)]))
