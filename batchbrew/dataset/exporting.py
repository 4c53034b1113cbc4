"""Files again, of what is in an LMDB, with a list from which it can be built anew."""

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

from batchbrew import atomic
from batchbrew.dataset.copying import name_in_key
from batchbrew.dataset.derivation import Parent
from batchbrew.dataset.images import ImageError, Unsuitable, check_header
from batchbrew.dataset.inspection import naming
from batchbrew.dataset.parallel import default_workers, ordered_map
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, datum_image, parse_datum
from batchbrew.dataset.replacing import writing
from batchbrew.dataset.safe_names import SUFFIXES, safe_part, safe_path, write_new
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

IMAGES, LIST, CLASSES = "images", "list.txt", "classes.txt"
FORMS = {"original": None, "png": "PNG", "jpg": "JPEG"}


@dataclass(frozen=True)
class ExportOptions:
    """Raises InputError for what cannot be."""

    by_class: bool = False
    """A folder for each class, of its name or its label."""
    form: str = "original"
    """original: encoded pictures as they are stored, pixels as PNG; png or jpg: all as that."""
    quality: int = 95
    """Of JPEGs that are made here."""
    count: int | None = None
    """That many, evenly spread; None: all."""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"format {self.form!r} is not known: choose {', '.join(FORMS)}")
        if not 1 <= self.quality <= 100:
            raise InputError(f"JPEG quality {self.quality} cannot be used: give 1 to 100 (95 is usual)")
        if self.count is not None and self.count < 1:
            raise InputError(f"--count {self.count} leaves no picture: give 1 or more")


class Exported(NamedTuple):
    """What was written."""

    images: int
    renamed: int
    """Pictures whose name was not safe, or was another's, too."""


def export(
    path: Path,
    out: Path,
    options: ExportOptions | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the pictures of a data set below OUT/images, and OUT/list.txt: a path from there and a label a line.

    Lines are in the order of the records. OUT/classes.txt has the class names, where they are known. Raises InputError,
    and `out` is then not there, if it exists already, cannot be written, or a record is damaged or cannot be a file.
    """
    options = options or ExportOptions()
    renamed = 0
    with LmdbReader(path) as reader, writing(out), atomic.building_folder(out, many_files=True) as folder:
        names = Parent.at(path, reader.count).class_names
        wanted = reader.count if options.count is None else min(options.count, reader.count)
        items = reader.items() if options.count is None else reader.sample(wanted)
        files = ordered_map(
            _Maker(path, options, _folders_of(names or ())), items, workers or default_workers()
        )
        (folder / IMAGES).mkdir()
        lines = (folder / LIST).open("w", encoding="utf-8", errors="surrogateescape", newline="\n")
        with lines, contextlib.closing(files):
            for number, file in enumerate(files):
                written = write_new(folder / IMAGES, file.path, number, file.data)
                renamed += written != file.path or not file.named_so
                lines.write(f"{written} {file.label}\n")
                if progress is not None:
                    progress(number + 1, wanted, 0)
        if names is not None and all(name.strip() and name.isprintable() for name in names):
            (folder / CLASSES).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return Exported(wanted, renamed)


class _File(NamedTuple):
    path: PurePosixPath
    named_so: bool
    """Whether that is its name in the LMDB, but for what tells the kind."""
    label: int
    data: bytes


@dataclass(frozen=True)
class _Maker:
    """What a thread does with a record."""

    path: Path
    options: ExportOptions
    class_folders: Sequence[str]

    def __call__(self, item: tuple[bytes, bytes]) -> _File:
        key, value = item
        with naming(self.path, key):
            datum = parse_datum(value)
            if datum.label < 0:
                raise ImageError(f"has the negative label {datum.label}, which no list can name")
            kind, data = self._content(datum)
        name = name_in_key(key)
        path = safe_path(name, SUFFIXES[kind])
        if self.options.by_class:
            name = name.rpartition("/")[2]
            named_so = path.stem in (name, PurePosixPath(name).stem)
            path = PurePosixPath(self._class_folder(datum.label), path.name)
        else:
            named_so = str(path.with_suffix("")) in (name, os.path.splitext(name)[0])  # noqa: PTH122 - "" is no path
        return _File(path, named_so, datum.label, data)

    def _content(self, datum: pb.Datum) -> tuple[str, bytes]:
        """Kind and content of the file. Raises ImageError."""
        wanted = FORMS[self.options.form]
        if datum.encoded:
            kind = check_header(datum.data).kind
            if wanted in (None, kind):
                return kind, datum.data
        image = datum_image(datum)
        if image.dtype != np.uint8 or image.shape[2] not in (1, 3, 4):
            raise Unsuitable(
                f"has {image.shape[2]} channels of {image.dtype}, which are no picture for a file: leave such LMDBs "
                "as they are"
            )
        kind = wanted or "PNG"
        if kind == "JPEG" and image.shape[2] == 4:
            raise Unsuitable("has transparency, which no JPEG holds: take --format png")
        parameters = [cv2.IMWRITE_JPEG_QUALITY, self.options.quality] if kind == "JPEG" else []
        done, content = cv2.imencode(SUFFIXES[kind][0], np.ascontiguousarray(image), parameters)
        assert done, image.shape
        return kind, content.tobytes()

    def _class_folder(self, label: int) -> str:
        """Of a class without a name four digits at least, so that folders sort as labels do."""
        return self.class_folders[label] if label < len(self.class_folders) else f"{label:04}"


def _folders_of(class_names: Sequence[str]) -> list[str]:
    """Names of folders, none twice."""
    folders = [safe_part(name.replace("/", "_") or "_") for name in class_names]
    counts = Counter(folder.casefold() for folder in folders)
    return [
        folder if counts[folder.casefold()] == 1 else f"{folder}~{label}"
        for label, folder in enumerate(folders)
    ]
