"""Images of an LMDB of Datum, by number."""

import weakref
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from batchbrew.caffe.data.images import StoredImage
from batchbrew.caffe.data.transformer import Pixels
from batchbrew.dataset.images import ImageError, decode, decode_grey, decode_stored
from batchbrew.dataset.lmdb_file import LmdbCursor
from batchbrew.dataset.reader import LmdbReader, datum_image, parse_datum, printable
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb


class DatumStore:
    """The records of an LMDB in the order of their keys. Raises InputError if it cannot be opened."""

    def __init__(self, path: Path, transform: pb.TransformationParameter) -> None:
        self._path = path
        self._transform = transform
        self._reader = LmdbReader(path)
        weakref.finalize(self, self._reader.close)
        self.count = self._reader.count
        self._keys: _Keys | None = None
        self._last: tuple[int, bytes] | None = (
            None  # where the latest read ended: going on from there is cheap
        )

    def read(self, indices: Sequence[int]) -> Iterator[StoredImage]:
        """The records of these numbers, decoded."""
        for key, value in self._values(indices):
            name = f"record {printable(key)} of {self._path}"
            try:
                datum = parse_datum(value)
                image = pixels(datum, self._transform)
            except ImageError as error:
                raise InputError(f"{name} {error}") from error
            yield StoredImage(name, image, datum.label if datum.HasField("label") else None)

    def _values(self, indices: Sequence[int]) -> Iterator[tuple[bytes, bytes]]:
        with self._reader.cursor() as cursor:
            at = self._go_back(cursor)
            for index in indices:
                self._move(cursor, at, index)
                key, value = cursor.item()
                at, self._last = index, (index, key)
                yield key, value

    def _go_back(self, cursor: LmdbCursor) -> int:
        """Put a new cursor to where the latest read ended; returns the number of that record."""
        if self._last is None or not cursor.set_key(self._last[1]):
            return -1
        return self._last[0]

    def _move(self, cursor: LmdbCursor, at: int, index: int) -> None:
        if index == at:
            return
        if index == 0:
            found = cursor.first()
        elif index == at + 1 and at >= 0:
            found = cursor.next()
        else:
            found = cursor.set_key(self._key(index))
        if not found:
            raise InputError(f"{self._path} is damaged (its record {index} is not there): build it anew")

    def _key(self, index: int) -> bytes:
        if self._keys is None:
            with self._reader.cursor() as cursor:
                self._keys = _Keys(list(cursor.keys()))
        return self._keys[index]


class _Keys:
    """Many keys in little memory."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._bytes = b"".join(keys)
        self._ends = np.fromiter(accumulate(map(len, keys), initial=0), np.int64, len(keys) + 1)

    def __getitem__(self, index: int) -> bytes:
        return self._bytes[self._ends[index] : self._ends[index + 1]]


def pixels(datum: pb.Datum, transform: pb.TransformationParameter) -> Pixels:
    """H×W×C as Caffe's Data layer has them; force_color and force_gray concern encoded images alone.

    Of an encoded Datum its sizes are not looked at, as in Caffe. Raises ImageError.
    """
    if not datum.encoded:
        return datum_image(datum)
    if transform.force_color and transform.force_gray:
        raise ImageError("is encoded, but transform_param has both force_color and force_gray: keep one")
    if transform.force_color:
        return decode(datum.data)
    return decode_grey(datum.data) if transform.force_gray else decode_stored(datum.data)
