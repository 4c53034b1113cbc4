"""Which LMDBs a data set consists of: one, or all that lie in a folder, in the order of their names."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from batchbrew.errors import InputError

DATA_FILE, LOCK_FILE = "data.mdb", "lock.mdb"
UNFINISHED = ".partial"  # how the name of a build ends that has not come to its end
_SHARD = re.compile(r"shard-(\d+)-of-(\d+)")


def shard_name(number: int, count: int) -> str:
    """The folder of shard `number`, from 0, of `count`: names that sort as the shards follow one another."""
    return f"shard-{number:05}-of-{count:05}"


def is_lmdb(path: Path) -> bool:
    """Does `path` look like a data set that LmdbReader reads: an LMDB, or a folder of them?"""
    try:
        return _has_data(path) or any(map(_has_data, _folders_in(path)))
    except (OSError, ValueError):  # not there, or a zero byte in the name
        return False


def lmdbs_in(path: Path) -> Sequence[Path]:
    """`path` itself if it is an LMDB; else the folders in it, sorted by name, if one of them is an LMDB.

    Then all must be, but for hidden ones: raises InputError naming the one that is not, or is not finished, or,
    where names tell how many there must be (`shard_name`), the one that is missing.
    """
    if not is_lmdb(path) or _has_data(path):
        return [path]
    folders = _folders_in(path)
    for folder in folders:
        if folder.name.endswith(UNFINISHED):
            raise InputError(
                f"{path} is a set of LMDBs, but {folder.name} in it is a build that has not ended: end it with "
                "`batchbrew lmdb build --resume`, or remove it"
            )
        if not _has_data(folder):
            raise InputError(
                f"{path} is a set of LMDBs, but {folder.name} in it is none: there is no {DATA_FILE} in it; "
                "move it elsewhere, or build it"
            )
    _check_whole(path, [folder.name for folder in folders])
    return folders


def _check_whole(path: Path, names: Sequence[str]) -> None:
    """Raises InputError if `names` are those of shards, and not of all shards of one build."""
    found = [_SHARD.fullmatch(name) for name in names]
    shards = next((match[2] for match in found if match), None)
    if shards is None:
        return
    count = int(shards)
    for name, match in zip(names, found, strict=True):
        if match is None or int(match[2]) != count or not int(match[1]) < count:
            raise InputError(
                f"{path} is a set of {count} shards, but {name} in it is none of them: move it elsewhere"
            )
    there = {int(match[1]) for match in found if match}
    missing = next((number for number in range(count) if number not in there), None)
    if missing is not None:
        raise InputError(
            f"{path} is a set of {count} shards, but {len(there)} are there, and {shard_name(missing, count)} is not: "
            f"build it with `batchbrew lmdb build --shards {count} --shard {missing}`"
        )
    if len(names) != count:  # the same number, written with more zeros
        raise InputError(
            f"{path} is a set of {count} shards, but {len(names)} folders are there: keep one of each"
        )


def _has_data(path: Path) -> bool:
    return (path / DATA_FILE).is_file()


def _folders_in(path: Path) -> list[Path]:
    """Without the hidden ones, in which others keep what is no part of the set."""
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return [path / name for name in sorted(names, key=os.fsencode)]
