"""Opening HDF5 files that may be damaged: h5py tells of that by errors of many kinds, wherever it meets it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from batchbrew.errors import BatchBrewError, InputError
from batchbrew.proto.files import is_folder, is_there

# MemoryError: of a length in the file that is no length.
FAULTS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)


@contextmanager
def hdf5_file(path: Path, expected: str) -> Iterator[h5py.File]:
    """The open file. Raises InputError, saying that `expected` is, if it is not there, is none, or is found damaged
    while the block reads it.
    """
    if is_folder(path) or not is_there(path):
        raise InputError(f"{path} is not there: {expected} is expected")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except BatchBrewError:  # some are RuntimeErrors, too
        raise
    except FAULTS as error:
        reason = " ".join(str(error).strip("'").split()) or type(error).__name__
        raise InputError(
            f"{path} is not an HDF5 file, or damaged ({reason}): {expected} is expected"
        ) from None
