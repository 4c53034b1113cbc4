"""Images of an LMDB of Datum, by number."""

import weakref
from pathlib import Path

import cv2

from batchbrew.caffe.data.images import Label
from batchbrew.caffe.data.transformer import Pixels
from batchbrew.dataset.images import ImageError, decode, decode_grey, decode_stored
from batchbrew.dataset.reader import LmdbReader, datum_image, parse_datum
from batchbrew.dataset.stored_image import decode_jpeg, stored_image
from batchbrew.proto import caffe_pb2 as pb


class DatumStore:
    """The records of an LMDB, or of several that are one set. Raises InputError if they cannot be opened."""

    def __init__(self, path: Path, transform: pb.TransformationParameter) -> None:
        self._transform = transform
        self._flags = _flags(transform)
        self._reader = LmdbReader(path)
        weakref.finalize(self, self._reader.close)
        self.count = self._reader.count

    def read(self, index: int) -> tuple[Pixels, Label]:
        """Record number `index`, decoded. Raises ImageError if it is damaged, InputError if the LMDB is."""
        value = self._reader.view(index)
        stored = stored_image(value)
        if stored is not None and self._flags is not None:
            image = decode_jpeg(stored.data, self._flags)
            if image is not None:
                return image, stored.label
        datum = parse_datum(bytes(value))
        return pixels(datum, self._transform), datum.label if datum.HasField("label") else None

    def name(self, index: int) -> str:
        """The record's key, and where it is."""
        return self._reader.name(index)


def _flags(transform: pb.TransformationParameter) -> int | None:
    """How OpenCV decodes what `pixels` decodes; None where that refuses."""
    if transform.force_color and transform.force_gray:
        return None
    if transform.force_color:
        return cv2.IMREAD_COLOR
    return cv2.IMREAD_GRAYSCALE if transform.force_gray else cv2.IMREAD_UNCHANGED


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
