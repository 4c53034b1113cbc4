"""The ILSVRC2012 development kit: which of the organisers' numbers is which synset, and the truth about val.

Its labels, "ILSVRC2012_ID" 1 to 1000, are in an order of their own. Caffe's and torchvision's labels, 0 to 999,
are places among the sorted synsets. data/meta.mat maps one to the other (the kit's readme.txt describes it).
"""

import gzip
import io
import re
import struct
import tempfile
import zlib
from pathlib import Path
from typing import IO, NamedTuple

from batchbrew.dataset.sources.matlab import read_structs
from batchbrew.dataset.sources.tar_members import TarReader
from batchbrew.errors import InputError

FOLDER = "ILSVRC2012_devkit_t12"
ARCHIVE = f"{FOLDER}.tar.gz"  # 2.5 MB
META = "meta.mat"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
FIELDS = ("ILSVRC2012_ID", "WNID")
CLASSES = 1000  # numbers above are of inner nodes of the hierarchy
SYNSET = re.compile(r"n[0-9]{8}")
MAX_FILE_BYTES = 16 * 2**20
MAX_UNPACKED_BYTES = 64 * 2**20


class Devkit(NamedTuple):
    """What of the kit is needed."""

    synsets: list[str]
    """Sorted: the place is the label."""
    labels: dict[int, int]
    """ILSVRC2012_ID → label."""
    ground_truth: list[int]
    """The label of validation image n, ILSVRC2012_val_%08d.JPEG, at place n - 1."""


def read_devkit(path: Path, ground_truth: Path | None = None) -> Devkit:
    """The kit in a folder, or in its .tar.gz; the ground truth in a file beside or, where named, elsewhere.

    Raises InputError if it cannot be understood.
    """
    meta, truth = _files_of(path, wanted=(META,) if ground_truth is not None else (META, GROUND_TRUTH))
    ids = parse_meta(meta, f"{path}, {META}")
    synsets = sorted(ids.values())
    if len(set(synsets)) < len(synsets):
        raise InputError(f"{path}, {META} has a synset under two numbers: download the development kit anew")
    places = {synset: label for label, synset in enumerate(synsets)}
    labels = {number: places[synset] for number, synset in ids.items()}
    if ground_truth is not None:
        truth = _read_limited(ground_truth)
    where = str(ground_truth) if ground_truth is not None else f"{path}, {GROUND_TRUTH}"
    return Devkit(synsets, labels, _parse_ground_truth(truth, labels, where))


def parse_meta(data: bytes, where: str) -> dict[int, str]:
    """ILSVRC2012_ID → synset of the 1,000 classes (or fewer), from the content of meta.mat."""
    try:
        rows = [(int(number), str(synset)) for number, synset in read_structs(data, "synsets", FIELDS)]
    except (ValueError, OverflowError, struct.error, zlib.error) as error:
        raise InputError(
            f"{where} cannot be understood ({error}): "
            "a struct array `synsets` is expected, with fields ILSVRC2012_ID and WNID"
        ) from error
    ids = {number: synset for number, synset in rows if 1 <= number <= CLASSES}
    odd = next((synset for synset in ids.values() if not SYNSET.fullmatch(synset)), None)
    if odd is not None or not ids or len(ids) < sum(1 <= number <= CLASSES for number, _ in rows):
        raise InputError(
            f"{where} does not number synsets "
            f"({len(ids)} numbers from 1 to {CLASSES}{f', {odd!r} for a synset' if odd is not None else ''}): "
            "download the development kit anew"
        )
    return ids


def _parse_ground_truth(data: bytes, labels: dict[int, int], where: str) -> list[int]:
    result: list[int] = []
    for line, text in enumerate(data.decode("ascii", "replace").split("\n"), start=1):
        number = text.strip()
        if not number:
            continue
        label = (
            labels.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
        )
        if label is None:
            raise InputError(f"{where}, line {line}: {number[:50]!r} is no number of a synset in {META}")
        if len(result) != line - 1:
            raise InputError(f"{where}, line {len(result) + 1} is blank: line n is of validation image n")
        result.append(label)
    if not result:
        raise InputError(f"{where} is empty: a number for each validation image is expected")
    return result


def _files_of(path: Path, wanted: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Contents of meta.mat and the ground truth; b"" of what is not wanted."""
    if not path.is_dir():
        found = _from_archive(path, wanted)
    else:
        places = {name: _find(path, name) for name in wanted}
        found = {name: _read_limited(place) for name, place in places.items() if place is not None}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            f"{path} has no {missing[0]}: name {ARCHIVE}, or the folder that was unpacked from it"
        )
    return found[META], found.get(GROUND_TRUTH, b"")


def _find(folder: Path, name: str) -> Path | None:
    places = (folder / name, folder / "data" / name, folder / FOLDER / "data" / name)
    return next((place for place in places if place.is_file()), None)


def _read_limited(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path} has more than {MAX_FILE_BYTES:,} bytes: it is not the development kit's")
    return data


def _from_archive(path: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The wanted files of a .tar.gz or .tar, told by the last part of their names."""
    found = {}
    with tempfile.TemporaryFile() as file:
        size = _unpack_into(file, path)
        for member in TarReader(file.fileno(), 0, size, str(path)):
            name = member.name.rpartition("/")[2]
            if name not in wanted or member.problem is not None or member.is_folder:
                continue
            if member.size > MAX_FILE_BYTES:
                raise InputError(f"{path}: {name} has {member.size:,} bytes: it is not the development kit's")
            file.seek(member.offset)
            found[name] = file.read(member.size)
    return found


def _unpack_into(file: IO[bytes], path: Path) -> int:
    """Write the tar archive in a .tar.gz, or a .tar as it is, to a file; returns its bytes."""
    data = _read_limited(path)
    if data.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(data)) as unpacked:
                data = unpacked.read(MAX_UNPACKED_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} is damaged: {error}; copy or download it anew") from error
        if len(data) > MAX_UNPACKED_BYTES:
            raise InputError(
                f"{path} unpacks to more than {MAX_UNPACKED_BYTES:,} bytes: is it the right file?"
            )
    file.write(data)
    file.flush()
    return len(data)
