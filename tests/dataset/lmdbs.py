"""LMDBs as other tools make them, for the tests."""

from collections.abc import Iterable
from pathlib import Path

import lmdb

from batchbrew.proto import caffe_pb2


def write_lmdb(path: Path, values: Iterable[bytes | caffe_pb2.Datum]) -> Path:
    """An LMDB with keys 00000000, 00000001, ... and these values."""
    with lmdb.open(str(path), map_size=2**26) as environment, environment.begin(write=True) as transaction:
        for number, value in enumerate(values):
            data = value if isinstance(value, bytes) else value.SerializeToString()
            transaction.put(b"%08d" % number, data)
    return path


def raw_datum(channels: int, height: int, width: int, data: bytes, label: int = 0) -> caffe_pb2.Datum:
    """A Datum with unencoded pixels, C×H×W."""
    return caffe_pb2.Datum(channels=channels, height=height, width=width, data=data, label=label)


def change(path: Path, key: bytes, value: bytes | None) -> None:
    """Write a record anew, or delete it."""
    with lmdb.open(str(path), map_size=2**26) as environment, environment.begin(write=True) as transaction:
        assert transaction.delete(key) if value is None else transaction.put(key, value)


def write_records(path: Path, records: Iterable[tuple[bytes, caffe_pb2.Datum]]) -> Path:
    """An LMDB with these keys."""
    with lmdb.open(str(path), map_size=2**26) as environment, environment.begin(write=True) as transaction:
        for key, datum in records:
            assert transaction.put(key, datum.SerializeToString())
    return path


def pixel_lmdb(path: Path, labels: Iterable[int], first: int = 0) -> Path:
    """Raw 1×2×2 pictures, each of its own value; keys as convert_imageset makes them."""
    return write_records(
        path,
        (
            (
                b"%08d_p%d.png" % (number, number),
                raw_datum(1, 2, 2, bytes([(first + number) % 256] * 4), label),
            )
            for number, label in enumerate(labels)
        ),
    )


def break_page_of(path: Path, key: bytes) -> None:
    """The page of the tree that holds the record's key no longer says that it is one."""
    content = bytearray((path / "data.mdb").read_bytes())
    pages = {at // 4096 for at in range(len(content)) if content.startswith(key, at)}
    for page in pages:
        content[4096 * page : 4096 * page + 16] = bytes(16)
    (path / "data.mdb").write_bytes(content)
