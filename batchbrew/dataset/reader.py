"""LMDBs of Caffe's Datum, read without trusting them: ours, convert_imageset's, anybody's."""

import contextlib
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from batchbrew.dataset.images import ImageError, check_header, decode_stored
from batchbrew.dataset.lmdb_cursor import LmdbCursor
from batchbrew.dataset.lmdb_file import LmdbDamage, LmdbFile
from batchbrew.dataset.record_index import RecordIndex
from batchbrew.dataset.shards import DATA_FILE, lmdbs_in
from batchbrew.errors import InputError, printable
from batchbrew.proto import caffe_pb2

MAX_NUMBERS = 2**31 - 1  # in a blob of Caffe's


@dataclass(frozen=True)
class Record:
    """One image of an LMDB."""

    key: bytes
    label: int
    image: NDArray[np.uint8] | NDArray[np.float32]
    """H×W×C, BGR where C is 3; uint8, or float32 where the Datum holds float_data."""


class LmdbReader:
    """A data set opened for reading; read it as often as you like, from any thread, also after a fork.

    It is an LMDB, or a folder in which each folder is one: those are one set, in the order of their names (`shards`).
    Handed to another process (pickled), it opens the data set there.
    No lock file is made, so read-only disks and other people's files are fine; a data set does not change once it
    is built. Raises InputError if it, or one of the shards, is missing, no LMDB, truncated or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shards: Sequence[Path] = lmdbs_in(path)
        self._opened: list[_Lmdb] = []
        try:
            for shard in self.shards:
                self._opened.append(_Lmdb(shard))
        except InputError:
            self.close()
            raise
        self._firsts = [0, *accumulate(lmdb.count for lmdb in self._opened)]
        self.count: int = self._firsts[-1]

    def __enter__(self) -> "LmdbReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.count

    def __reduce__(self) -> tuple[type["LmdbReader"], tuple[Path]]:
        return LmdbReader, (self.path,)

    def close(self) -> None:
        """Give the data set up; a second time does nothing."""
        while self._opened:
            self._opened.pop().file.close()

    def value(self, number: int) -> bytes:
        """The unparsed value of record `number`, from 0, in Caffe's order (of the keys' bytes)."""
        return bytes(self.view(number))

    def view(self, number: int) -> memoryview:
        """The same without a copy: read-only, and good for as long as you hold it, also when the reader is closed."""
        lmdb, place = self._find(number)
        try:
            return lmdb.index.view(place)
        except (LmdbDamage, OSError) as error:
            raise lmdb.refusal(error) from error

    def item(self, number: int) -> tuple[bytes, bytes]:
        """The same with its key before it."""
        lmdb, place = self._find(number)
        with lmdb.reading():
            return lmdb.index.item(place)

    def name(self, number: int) -> str:
        """What messages call a record."""
        return f"record {shown_key(self.item(number)[0])} of {self._find(number)[0].path}"

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and unparsed values, in Caffe's order."""
        for lmdb in self._opened:
            with lmdb.reading():
                yield from LmdbCursor(lmdb.file)

    def sample(self, wanted: int) -> Iterator[tuple[bytes, bytes]]:
        """Up to `wanted` keys and values, evenly spread from the first on."""
        step = max(self.count / max(wanted, 1), 1.0)
        for index in range(min(wanted, self.count)):
            yield self.item(int(index * step))

    def records(self) -> Iterator[Record]:
        """Every record, parsed and decoded. Raises InputError at the first that is damaged."""
        for key, value in self.items():
            yield self.parse(key, value)

    def parse(self, key: bytes, value: bytes) -> Record:
        """Decode one record. Raises InputError that names it if it is damaged."""
        try:
            datum = parse_datum(value)
            return Record(key, datum.label, datum_image(datum))
        except ImageError as error:
            raise InputError(f"{self.path}: record {shown_key(key)} {error}") from error

    def _find(self, number: int) -> tuple["_Lmdb", int]:
        """The LMDB that holds a record, and its number there."""
        assert self._opened, "closed"
        at = bisect_right(self._firsts, number) - 1
        return self._opened[at], number - self._firsts[at]


class _Lmdb:
    """One LMDB. Raises InputError if it is missing, no LMDB, truncated or empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = _open(path)
        self.index = RecordIndex(self.file)
        self.count = self.file.meta.entries
        if self.count == 0:
            self.file.close()
            raise InputError(f"{path} is an LMDB without a record: build it anew")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """What goes wrong is an InputError that names the LMDB."""
        try:
            yield
        except (LmdbDamage, OSError) as error:
            raise self.refusal(error) from error

    def refusal(self, error: LmdbDamage | OSError) -> InputError:
        """What a user is told."""
        if isinstance(error, LmdbDamage):
            return InputError(f"{self.path} is damaged ({error}): build it anew")
        return InputError(f"{self.path} cannot be read: {error.strerror or error}")


def shown_key(key: bytes) -> str:
    """A key for messages."""
    return printable(key.decode("utf-8", errors="backslashreplace"))


def parse_datum(value: bytes) -> caffe_pb2.Datum:
    """Raises ImageError if the bytes are no Datum."""
    datum = caffe_pb2.Datum()
    try:
        datum.ParseFromString(value)
    except DecodeError as error:
        raise ImageError("is not a Datum message") from error
    return datum


def datum_image(datum: caffe_pb2.Datum) -> NDArray[np.uint8] | NDArray[np.float32]:
    """H×W×C pixels of a Datum: encoded, raw (`data`) or `float_data`. Raises ImageError for wrong sizes."""
    shape = (datum.channels, datum.height, datum.width)
    if datum.encoded:
        image = decode_stored(datum.data)
        height, width, channels = image.shape
        # convert_imageset leaves the sizes out of an encoded Datum.
        for said, found in zip(shape, (channels, height, width), strict=True):
            if said not in (0, found):
                raise ImageError(f"says {_by(shape)}, but its image is {channels}×{height}×{width}")
        return image
    if min(shape) < 1 or math.prod(shape) > MAX_NUMBERS:
        raise ImageError(f"has the impossible size {_by(shape)}")
    values = len(datum.data) or len(datum.float_data)
    if math.prod(shape) != values:
        raise ImageError(f"has {values} values for a size of {_by(shape)}")
    if datum.data:
        return np.frombuffer(datum.data, np.uint8).reshape(shape).transpose(1, 2, 0)
    return np.asarray(datum.float_data, np.float32).reshape(shape).transpose(1, 2, 0)


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def datum_size(datum: caffe_pb2.Datum) -> tuple[int, int]:
    """Height and width, without decoding. Raises ImageError if an encoded image's header is damaged."""
    if not datum.encoded:
        return datum.height, datum.width
    header = check_header(datum.data)
    return header.height, header.width


def _check_file(path: Path) -> None:
    """Raises InputError if there is no data file of an LMDB."""
    try:
        if path.is_file():
            raise InputError(f"{path} is a file; an LMDB is a folder with {DATA_FILE} in it: name the folder")
        if not path.exists():
            raise InputError(f"{path} does not exist: build it with `batchbrew lmdb build`")
        (path / DATA_FILE).stat()
    except FileNotFoundError:
        raise InputError(
            f"{path} is not an LMDB: there is no {DATA_FILE} in it, nor in a folder in it"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _open(path: Path) -> LmdbFile:
    _check_file(path)
    try:
        file = LmdbFile(path / DATA_FILE)
    except LmdbDamage as damage:
        raise InputError(f"{path} cannot be opened as an LMDB: {damage}; copy or build it anew") from damage
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    needed, found = file.bytes_needed, file.bytes_found
    if found < needed:
        file.close()
        raise InputError(
            f"{path} is truncated: {DATA_FILE} has {found:,} of {needed:,} bytes; copy or build it anew"
        )
    return file
