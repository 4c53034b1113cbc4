"""What lies at a path that a user names as his training or validation images."""

from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.inputs import SourceKind
from batchbrew.proto.binary import read_binary
from batchbrew.proto.caffe_pb2 import BlobProto

LMDB_ENDINGS = ("_lmdb", ".lmdb")
LIST_ENDINGS = (".txt", ".lst", ".list")


def source_kind(path: str, named: SourceKind | None) -> SourceKind:
    """LMDB folder or image list: as `named`, else by what is there, else by how the name ends.

    Raises InputError if that does not tell, or if what is there is something else.
    """
    place = Path(path)
    if place.is_dir():
        found: SourceKind | None = "lmdb"
        if not (place / "data.mdb").is_file():
            raise InputError(
                f"{path} is a folder without a data.mdb, so it is no LMDB: name an LMDB or an image list"
            )
    elif place.suffix == ".mdb":
        raise InputError(f"{path} is the inside of an LMDB: name its folder, {place.parent}")
    elif place.exists():
        found = "list"
    elif place.name.endswith(LMDB_ENDINGS):
        found = named or "lmdb"
    elif place.name.endswith(LIST_ENDINGS):
        found = named or "list"
    else:
        found = named
    if found is None:
        raise InputError(
            f"{path} does not exist, and its name does not tell what it will be: add --source-type"
        )
    if named is not None and named != found:
        raise InputError(f"{path} is {_in_words(found)}, and not, as --source-type says, {_in_words(named)}")
    return found


def count_images(path: str, kind: SourceKind, classes: int) -> int | None:
    """How many images an existing source has; None for an LMDB where the Python package lmdb is missing.

    Raises InputError if it has none or cannot be read, and for a label of a list that is not below `classes`:
    Caffe would read past the end of the scores.
    """
    count = _count_list(path, classes) if kind == "list" else _count_lmdb(path)
    if count == 0:
        raise InputError(f"{path} holds no images")
    return count


def _count_list(path: str, classes: int) -> int:
    # ILSVRC12's list has 1.3 million lines: each of its few different labels is looked at once.
    good: set[bytes] = set()
    count = 0
    try:
        with Path(path).open("rb") as file:
            for count, line in enumerate(file, 1):
                label = line.rpartition(b" ")[2]
                if label not in good:
                    _check_line(path, count, line, classes)
                    good.add(label)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return count


def _check_line(path: str, number: int, line: bytes, classes: int) -> None:
    """Caffe splits a line at its last space, and takes what follows for a number whatever it is."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    image, space, label = text.rpartition(" ")
    if not (image.strip() and space and label.isdecimal()):
        raise InputError(f"{path}, line {number}: {text[:80]!r} is not a path, a space and a class number")
    if int(label) >= classes:
        raise InputError(
            f"{path}, line {number}: class {label}, but of --classes {classes} the last one is {classes - 1}"
        )


def _count_lmdb(path: str) -> int | None:
    try:
        import lmdb  # here, as generators run without it too
    except ModuleNotFoundError:
        return None
    try:
        with lmdb.open(path, readonly=True, lock=False) as database:
            return int(database.stat()["entries"])
    except lmdb.Error as error:
        raise InputError(f"{path} cannot be read as an LMDB: {error}") from error


def check_mean_file(path: str, crop: int) -> bool:
    """Whether `path` is there. Raises InputError if it is, and no mean image of three channels that holds `crop`."""
    if not Path(path).exists():
        return False
    blob = read_binary(path, BlobProto)
    old = blob.HasField("num") or blob.HasField("channels")
    shape = (blob.num, blob.channels, blob.height, blob.width) if old else tuple(map(int, blob.shape.dim))
    if len(shape) not in (3, 4) or shape[-3] != 3 or min(shape[-2:]) < crop:
        raise InputError(
            f"{path} has the shape ({'×'.join(map(str, shape))}): a mean image of 3 channels "
            f"and at least --crop {crop} pixels a side is expected"
        )
    return True


def _in_words(kind: SourceKind) -> str:
    return "an LMDB" if kind == "lmdb" else "an image list"
