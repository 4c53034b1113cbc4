"""Which LMDBs a data set consists of: one, or all that lie in a folder, in the order of their names."""

import os
from collections.abc import Sequence
from pathlib import Path

from batchbrew.errors import InputError

DATA_FILE = "data.mdb"


def is_lmdb(path: Path) -> bool:
    """Does `path` look like a data set that LmdbReader reads: an LMDB, or a folder of them?"""
    try:
        return _has_data(path) or any(map(_has_data, _folders_in(path)))
    except (OSError, ValueError):  # not there, or a zero byte in the name
        return False


def lmdbs_in(path: Path) -> Sequence[Path]:
    """`path` itself if it is an LMDB; else the folders in it, sorted by name, if one of them is an LMDB.

    Then all must be: raises InputError naming the one that is not.
    """
    if not is_lmdb(path) or _has_data(path):
        return [path]
    folders = _folders_in(path)
    for folder in folders:
        if not _has_data(folder):
            raise InputError(
                f"{path} is a set of LMDBs, but {folder.name} in it is none: there is no {DATA_FILE} in it; "
                "move it elsewhere, or build it"
            )
    return folders


def _has_data(path: Path) -> bool:
    return (path / DATA_FILE).is_file()


def _folders_in(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return [path / name for name in sorted(names, key=os.fsencode)]
