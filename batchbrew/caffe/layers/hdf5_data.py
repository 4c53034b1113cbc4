"""HDF5Data: rows of data sets in HDF5 files, one for each top and called like it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.data.batch_layer import BatchLayer
from batchbrew.caffe.data.hdf5_files import FileRows, Hdf5Files
from batchbrew.caffe.data.order import Share, share_in
from batchbrew.caffe.data.randomness import new_seed, permutation
from batchbrew.caffe.data.staging import Numbers
from batchbrew.caffe.layer import layer
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import Known, Refusal


class Hdf5Batches:
    """Batches that go on from one file to the next. With a seed, files are shuffled in each round, and their rows."""

    def __init__(self, files: Hdf5Files, batch_size: int, share: Share, seed: int | None) -> None:
        self.seed = seed
        self._files = files
        self._lengths = [file.rows for file in files.files]
        self._batch_size = batch_size
        self._share = share
        self._round: tuple[object, FileRows] | None = None
        self._rows: tuple[object, NDArray[np.int64]] | None = None

    def batch(self, number: int) -> list[Numbers]:
        """Batch `number`, from 0: an array for each top."""
        shapes = [(self._batch_size, *shape) for shape in self._files.row_shapes]
        MemoryLimit().check(sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes))
        tops = [np.empty(shape, np.float32) for shape in shapes]
        done = 0
        while done < self._batch_size:
            place = self._share.place(number * self._batch_size + done)
            file, rows = self._rows_from(place, self._batch_size - done)
            for top, column in zip(tops, self._files.columns(file), strict=True):
                top[done : done + len(rows)] = column[rows]
            done += len(rows)
        return [Numbers(top) for top in tops]

    def _rows_from(self, place: int, wanted: int) -> tuple[int, NDArray[np.int64]]:
        """The file where row `place` of all is, and as many of this solver's rows from there on as it has."""
        turn, place = divmod(place, sum(self._lengths))
        file, row = self._rows_of_round(turn).find(place)
        rows = np.arange(row, self._lengths[file], self._share.solvers)[:wanted]
        return file, rows if self.seed is None else self._permutation(self.seed, turn, file)[rows]

    def _rows_of_round(self, turn: int) -> FileRows:
        wanted = (self.seed, None if self.seed is None else turn)
        if self._round is None or self._round[0] != wanted:
            files = list(range(len(self._lengths)))
            if self.seed is not None:
                files = permutation(len(files), self.seed, turn).tolist()
            self._round = wanted, FileRows(self._lengths, files)
        return self._round[1]

    def _permutation(self, seed: int, turn: int, file: int) -> NDArray[np.int64]:
        wanted = (seed, turn, file)
        if self._rows is None or self._rows[0] != wanted:
            self._rows = wanted, permutation(self._lengths[file], seed, turn, file)
        return self._rows[1]


@layer("HDF5Data")
class HDF5Data(BatchLayer):
    """Whole files are read, one at a time, as float32. Where several solvers train, they take rows in turn."""

    _source: Hdf5Batches

    def ahead(self, threads: int, numbers: int) -> int:
        """None: the file is in memory already."""
        return 0

    def shuffle(self, seed: int) -> None:
        """From the next batch on, draw the order of files and rows by `seed`, anew for each round."""
        if seed < 0:
            raise InputError(f"shuffle: a seed is 0 or more, not {seed}")
        self._source.seed = seed

    def open_source(self, tops: int) -> Hdf5Batches:
        """Look at all files."""
        param = self.layer_param.hdf5_data_param
        if self.layer_param.HasField("transform_param"):
            raise Refusal("has transform_param, but HDF5 data are not transformed: remove it")
        if not param.source:
            raise Refusal("has no source: name a list of HDF5 files in hdf5_data_param")
        if param.batch_size < 1:
            raise Refusal("batch_size must be given, 1 or more")
        self._files = Hdf5Files(Path(param.source), list(self.layer_param.top))
        seed = new_seed() if param.shuffle else None
        return Hdf5Batches(self._files, param.batch_size, share_in(self.phase), seed)

    def known(self) -> Known:
        """Rows as the files have them."""
        batch = self.layer_param.hdf5_data_param.batch_size
        names: Sequence[str] = self.layer_param.top
        shapes = {name: (batch, *shape) for name, shape in zip(names, self._files.row_shapes, strict=True)}
        return Known(shapes=shapes)
