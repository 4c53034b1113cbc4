"""HDF5 files that a text file lists, read as one long table: HDF5Data's source."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.hdf5_reading import hdf5_file
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import MAX_AXES, MAX_COUNT, Shape, by

EXPECTED = "a file with a data set for each top of the layer"
KEPT_NUMBERS = 2**24  # of all files in memory, unless a single one has more
Columns = list[NDArray[np.float32]]  # for each data set a number of rows, as many in all


@dataclass(frozen=True)
class Hdf5File:
    """A file, how many rows it has, and the shape of a row in each of its data sets."""

    path: Path
    rows: int
    shapes: tuple[Shape, ...]

    @property
    def numbers(self) -> int:
        """How many there are in all data sets."""
        return self.rows * sum(map(prod, self.shapes))


class Hdf5Files:
    """The files of the list `source`; each has data sets called `names` of as many rows.

    One large file is in memory at a time, or several small ones. Raises InputError, naming the file, if one cannot be
    read or they do not fit together.
    """

    def __init__(self, source: Path, names: Sequence[str]) -> None:
        self._names = list(names)
        self.files = [_look(path, self._names) for path in _listed(source)]
        first = self.files[0]
        for file in self.files:
            if file.shapes != first.shapes:
                raise InputError(
                    f"{file.path} has rows of {_each(self._names, file.shapes)}, but {first.path} has "
                    f"{_each(self._names, first.shapes)}: the files of one list must be alike"
                )
        self._loaded: dict[int, Columns] = {}

    @property
    def row_shapes(self) -> Sequence[Shape]:
        """The shape of a row in each data set."""
        return self.files[0].shapes

    def columns(self, file: int) -> Columns:
        """The content of a file, as float32."""
        if file not in self._loaded:
            if sum(self.files[other].numbers for other in (*self._loaded, file)) > KEPT_NUMBERS:
                self._loaded.clear()  # its memory first
            self._loaded[file] = _load(self.files[file], self._names)
        return self._loaded[file]


class FileRows:
    """Which row of which file is the n-th, when files come in the order `files`."""

    def __init__(self, lengths: Sequence[int], files: Sequence[int]) -> None:
        self._files = files
        self._starts = [0, *np.cumsum([lengths[file] for file in files]).tolist()]

    def find(self, place: int) -> tuple[int, int]:
        """File and row of row `place` of all."""
        turn = bisect_right(self._starts, place) - 1
        return self._files[turn], place - self._starts[turn]


def _listed(source: Path) -> list[Path]:
    """Caffe takes whatever is between white space for a file's name."""
    try:
        names = source.read_text(encoding="utf-8", errors="surrogateescape").split()
    except (OSError, ValueError) as error:
        raise InputError(f"its source {source} cannot be read: {error}") from error
    if not names:
        raise InputError(f"its source {source} lists no HDF5 files: write their names into it")
    return [Path(name) for name in names]


def _look(path: Path, names: Sequence[str]) -> Hdf5File:
    with hdf5_file(path, EXPECTED) as file:
        sets = [_data_set(file, path, name) for name in names]
        lengths = [found.shape[0] for found in sets]
        for name, length in zip(names, lengths, strict=True):
            if length != lengths[0]:
                raise InputError(
                    f"{path} has {lengths[0]} rows in {names[0]}, but {length} in {name}: they must be as many"
                )
        if not lengths[0]:
            raise InputError(f"{path} has no rows: remove it from the list")
        return Hdf5File(path, int(lengths[0]), tuple(tuple(found.shape[1:]) for found in sets))


def _load(file: Hdf5File, names: Sequence[str]) -> Columns:
    limit, columns = MemoryLimit(), []
    limit.check(file.numbers)
    with hdf5_file(file.path, EXPECTED) as opened:
        for name, shape in zip(names, file.shapes, strict=True):
            found = _data_set(opened, file.path, name)
            column = np.empty((file.rows, *shape), np.float32)
            if found.shape != column.shape:
                raise InputError(
                    f"{file.path} has changed: its {name} is {by(found.shape)} now, not {by(column.shape)}"
                )
            found.read_direct(column)
            columns.append(column)
    return columns


def _data_set(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(
            f"{path} has no data set {name}; the tops of the layer name them: it has {_names(file)}"
        )
    if found.dtype.kind not in "fiu":
        raise InputError(f"{path}: its {name} is of type {found.dtype}: whole numbers or floats are read")
    shape = found.shape or ()
    if not 1 <= len(shape) <= MAX_AXES:
        raise InputError(f"{path}: its {name} has {len(shape)} axes: 1 to {MAX_AXES} are read")
    if prod(shape) > MAX_COUNT:
        raise InputError(
            f"{path}: its {name} is {by(shape)}: Caffe's blobs hold {MAX_COUNT:,} numbers at most"
        )
    return found


def _names(file: h5py.File) -> str:
    return ", ".join(sorted(file)[:20]) or "none"


def _each(names: Sequence[str], shapes: Sequence[Shape]) -> str:
    return ", ".join(f"{name} {by(shape)}" for name, shape in zip(names, shapes, strict=True))
