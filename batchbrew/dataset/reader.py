"""LMDBs of Caffe's Datum, read without trusting them: ours, convert_imageset's, anybody's."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from batchbrew.dataset.images import ImageError, check_header, decode_stored
from batchbrew.dataset.lmdb_file import LmdbCursor, LmdbDamage, LmdbFile
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2

MAX_NUMBERS = 2**31 - 1  # in a blob of Caffe's
DATA_FILE = "data.mdb"


@dataclass(frozen=True)
class Record:
    """One image of an LMDB."""

    key: bytes
    label: int
    image: NDArray[np.uint8] | NDArray[np.float32]
    """H×W×C, BGR where C is 3; uint8, or float32 where the Datum holds float_data."""


class LmdbReader:
    """An LMDB opened for reading; iterate as often as you like, from any thread, also after a fork.

    No lock file is made, so read-only disks and other people's files are fine; a data set does not change once it
    is built. Raises InputError if it is missing, no LMDB, truncated or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: LmdbFile | None = _open(path)
        self.count: int = self._file.meta.entries
        if self.count == 0:
            self.close()
            raise InputError(f"{path} is an LMDB without a record: build it anew")

    def __enter__(self) -> "LmdbReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the LMDB up; a second time does nothing."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _file(self) -> LmdbFile:
        assert self._opened is not None, "closed"
        return self._opened

    @contextlib.contextmanager
    def cursor(self) -> Iterator[LmdbCursor]:
        """A cursor over keys and values, in Caffe's order (of the keys' bytes); at first before all of them."""
        try:
            yield LmdbCursor(self._file)
        except LmdbDamage as damage:
            raise InputError(f"{self.path} is damaged ({damage}): build it anew") from damage
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and unparsed values, in Caffe's order."""
        with self.cursor() as cursor:
            yield from cursor

    def sample(self, wanted: int) -> Iterator[tuple[bytes, bytes]]:
        """Up to `wanted` keys and values, evenly spread from the first on."""
        step = max(self.count / max(wanted, 1), 1.0)
        chosen = {int(index * step) for index in range(min(wanted, self.count))}
        with self.cursor() as cursor:
            for index, key in enumerate(cursor.keys()):
                if index in chosen:
                    yield key, cursor.value()

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
            raise InputError(f"{self.path}: record {printable(key)} {error}") from error


def printable(key: bytes) -> str:
    """A key for messages, on one line."""
    return key.decode("utf-8", errors="backslashreplace").replace("\n", "\\n")


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
        raise InputError(f"{path} is not an LMDB: there is no {DATA_FILE} in it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _open(path: Path) -> LmdbFile:
    _check_file(path)
    try:
        file = LmdbFile(path / DATA_FILE)
    except LmdbDamage as damage:
        raise InputError(f"{path} cannot be opened as an LMDB: {damage}") from damage
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    needed, found = file.bytes_needed, file.bytes_found
    if found < needed:
        file.close()
        raise InputError(
            f"{path} is truncated: {DATA_FILE} has {found:,} of {needed:,} bytes; copy or build it anew"
        )
    return file
