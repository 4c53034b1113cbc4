import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from batchbrew.dataset.reader import LmdbReader
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from tests.dataset.lmdbs import raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture


def test_raw_pixels_are_turned_to_rows_and_columns(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", [raw_datum(2, 1, 3, bytes([1, 2, 3, 4, 5, 6]), label=9)])
    with LmdbReader(path) as reader:
        record = next(reader.records())
    assert (record.key, record.label, record.image.dtype.name) == (b"00000000", 9, "uint8")
    assert record.image.tolist() == [[[1, 4], [2, 5], [3, 6]]]


def test_float_data(tmp_path: Path) -> None:
    datum = caffe_pb2.Datum(channels=1, height=2, width=1, float_data=[-0.5, 300.25])
    with LmdbReader(write_lmdb(tmp_path / "db", [datum])) as reader:
        image = next(reader.records()).image
    assert image.dtype == np.float32
    assert image.tolist() == [[[-0.5]], [[300.25]]]


def test_encoded_without_sizes_and_greyscale(tmp_path: Path) -> None:
    colour = caffe_pb2.Datum(data=encoded(".png"), encoded=True)
    grey = caffe_pb2.Datum(data=encoded(".png", picture()[:, :, 0]), encoded=True)
    with LmdbReader(write_lmdb(tmp_path / "db", [colour, grey])) as reader:
        first, second = (record.image for record in reader.records())
    assert np.array_equal(first, picture())
    assert np.array_equal(second, picture()[:, :, :1])


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (b"\xff\xff\xff", "is not a Datum message"),
        (raw_datum(3, 2, 2, bytes(11)), "has 11 values for a size of 3×2×2"),
        (raw_datum(3, 2, 2, b""), "has 0 values"),
        (raw_datum(-3, -2, 2, bytes(12)), "impossible size -3×-2×2"),
        (raw_datum(2**31 - 1, 2**31 - 1, 2**31 - 1, bytes(12)), "impossible size"),
        (
            caffe_pb2.Datum(channels=3, height=64, width=95, data=encoded(".png"), encoded=True),
            "says 3×64×95",
        ),
        (caffe_pb2.Datum(data=encoded(".jpg")[:-500], encoded=True), "truncated JPEG"),
        (caffe_pb2.Datum(data=b"text", encoded=True), "is not a JPEG"),
    ],
)
def test_damaged_record_is_named(tmp_path: Path, value: bytes | caffe_pb2.Datum, complaint: str) -> None:
    path = write_lmdb(tmp_path / "db", [raw_datum(1, 1, 1, b"x"), value])
    with LmdbReader(path) as reader, pytest.raises(InputError) as caught:
        list(reader.records())
    assert complaint in str(caught.value)
    assert f"{path}: record 00000001 " in str(caught.value)


def test_what_is_no_lmdb(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "rubbish" / "data.mdb").write_bytes(os.urandom(20_000))
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "data.mdb").touch()
    for name, complaint in (
        ("absent", "does not exist"),
        ("empty", r"there is no data\.mdb in it"),
        ("file", "is a file; an LMDB is a folder"),
        ("rubbish", "cannot be opened as an LMDB"),
        ("blank", "cannot be opened as an LMDB"),
    ):
        with pytest.raises(InputError, match=complaint) as caught:
            LmdbReader(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(InputError, match="without a record"):
        LmdbReader(write_lmdb(tmp_path / "norecord", []))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_truncated_file_is_refused_instead_of_crashing(tmp_path: Path, keep: float) -> None:
    path = write_lmdb(tmp_path / "db", [bytes(3000)] * 200)
    size = (path / "data.mdb").stat().st_size
    os.truncate(path / "data.mdb", int(size * keep))
    for _ in range(2):  # the first try must not leave the LMDB open
        with pytest.raises(
            InputError, match=f"is truncated: data.mdb has {int(size * keep):,} of {size:,} bytes"
        ):
            LmdbReader(path)


def test_one_lmdb_can_be_open_twice(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", [b"a", b"b"])
    (tmp_path / "link").symlink_to(path)
    with LmdbReader(path) as first:
        with LmdbReader(tmp_path / "link") as second:
            assert list(zip(first.items(), second.items(), strict=True))[1][1] == (b"00000001", b"b")
        assert first.count == len(list(first.items())) == 2
        second.close()
    with LmdbReader(path) as again:
        assert again.count == 2


def test_read_only_folder(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", [b"a"])
    (path / "lock.mdb").unlink()
    with LmdbReader(path) as reader:
        assert list(reader.items()) == [(b"00000000", b"a")]
    assert [file.name for file in path.iterdir()] == ["data.mdb"]  # nothing is written on opening


def read_all(reader: LmdbReader) -> list[bytes]:
    return [bytes(reader.view(number)) for number in range(len(reader))]


def test_in_any_number_of_processes(tmp_path: Path) -> None:
    """Forked and spawned, with values in the leaves and on pages of their own."""
    for name in ("a", "b"):
        write_lmdb(tmp_path / name, [name.encode() * size for size in (3, 9000, 70_000)])
    with LmdbReader(tmp_path) as reader:
        expected = read_all(reader)
        assert [len(value) for value in expected] == [3, 9000, 70_000] * 2
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(read_all, [reader] * 2) == [expected] * 2
        child = os.fork()
        if child == 0:
            os._exit(0 if read_all(reader) == expected else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("wanted", "chosen"), [(1, [0]), (3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))]
)
def test_sample_is_spread_evenly(tmp_path: Path, wanted: int, chosen: list[int]) -> None:
    with LmdbReader(write_lmdb(tmp_path / "db", [bytes([number]) for number in range(10)])) as reader:
        assert [value[0] for _, value in reader.sample(wanted)] == chosen


def test_a_folder_of_lmdbs_is_one_set_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, values in (("b", [b"3", b"4"]), ("a10", [b"0", b"1"]), ("a2", [b"2"])):
        write_lmdb(tmp_path / name, values)
    (tmp_path / "README").touch()
    with LmdbReader(tmp_path) as reader:
        assert [path.name for path in reader.shards] == ["a10", "a2", "b"]
        assert reader.count == 5
        assert [value for _, value in reader.items()] == [b"0", b"1", b"2", b"3", b"4"]
        assert [reader.value(number) for number in (4, 0, 2, 3, 1)] == [b"4", b"0", b"2", b"3", b"1"]
        assert reader.item(3) == (b"00000000", b"3")
        assert reader.name(4) == f"record 00000001 of {tmp_path / 'b'}"
        assert [value for _, value in reader.sample(2)] == [b"0", b"2"]
    with LmdbReader(tmp_path / "b") as alone:
        assert (alone.shards, alone.count) == ([tmp_path / "b"], 2)
    write_lmdb(tmp_path / "b" / "inner", [b"5"])
    with LmdbReader(tmp_path / "b") as alone:  # an LMDB is no set, whatever lies in its folder
        assert alone.count == 2


def test_a_set_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    for name in ("a", "c"):
        write_lmdb(tmp_path / name, [b"0"] * 300)
    (tmp_path / "b").mkdir()
    with pytest.raises(
        InputError, match=r"is a set of LMDBs, but b in it is none: there is no data\.mdb in it"
    ):
        LmdbReader(tmp_path)
    (tmp_path / "b").rmdir()
    write_lmdb(tmp_path / "b", [])
    with pytest.raises(InputError, match=rf"^{tmp_path}/b is an LMDB without a record"):
        LmdbReader(tmp_path)
    os.truncate(tmp_path / "c" / "data.mdb", 9000)
    (tmp_path / "b" / "data.mdb").unlink()
    (tmp_path / "b" / "lock.mdb").unlink()
    (tmp_path / "b").rmdir()
    with pytest.raises(InputError, match=rf"^{tmp_path}/c is truncated"):
        LmdbReader(tmp_path)


def test_damage_in_one_of_a_set_names_that_one(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "a", [b"0"])
    content = bytearray((write_lmdb(tmp_path / "b", [b"1", b"2"]) / "data.mdb").read_bytes())
    for start in (0, 4096):
        content[start + 120] = 3  # records that it says to have
    (tmp_path / "b" / "data.mdb").write_bytes(content)
    with LmdbReader(tmp_path) as reader:
        assert reader.value(2) == b"2"
        with pytest.raises(InputError, match=rf"^{tmp_path}/b is damaged \(its record 2 is not there\)"):
            reader.value(3)
