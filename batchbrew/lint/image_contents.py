"""What is in the LMDBs and image lists that data layers name, as far as lint wants to know."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb

SAMPLED_LABELS = 10_000
SAMPLED_SIZES = 500
FEWEST_TO_TELL_ORDER = 50  # a handful of labels may be in order by chance
LEVELDB_FILE = "CURRENT"


@dataclass(frozen=True)
class Contents:
    """Of one LMDB or list. `labels` holds each label seen; `seen` of `images` images were looked at for them."""

    images: int
    labels: Counter[int]
    seen: int
    ordered: bool
    """Are the images sorted by label?"""
    sizes: Counter[tuple[int, int]]
    """(height, width) of up to 500 images of an LMDB; empty for a list."""
    first_path: str = ""
    """A list's first."""

    @property
    def looked_at(self) -> str:
        """What a statement about labels rests on, in words."""
        return "" if self.seen == self.images else f" (of {self.seen:,} images sampled)"


class Sources:
    """Looks at each source once, and remembers what it saw; paths are seen from the working directory."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, str], Contents | InputError] = {}

    def contents(self, layer: pb.LayerParameter) -> Contents | None:
        """Of a Data layer's LMDB or an ImageData layer's list; None for what cannot be read, or is not there."""
        found = self._look(layer)
        return found if isinstance(found, Contents) else None

    def problem(self, layer: pb.LayerParameter) -> str | None:
        """Why what is there cannot be read."""
        found = self._look(layer)
        return str(found) if isinstance(found, InputError) else None

    def _look(self, layer: pb.LayerParameter) -> Contents | InputError | None:
        path = source_of(layer)
        reader = {"Data": _read_lmdb, "ImageData": _read_list}.get(layer.type)
        if reader is None or not path or not Path(path).exists() or is_leveldb(path):
            return None
        key = (layer.type, path)
        if key not in self._contents:
            try:
                self._contents[key] = reader(Path(path))
            except InputError as error:
                self._contents[key] = error
        return self._contents[key]


def source_of(layer: pb.LayerParameter) -> str:
    """The path that a data layer names; empty for other layers."""
    sources = {
        "Data": layer.data_param.source,
        "HDF5Data": layer.hdf5_data_param.source,
        "ImageData": layer.image_data_param.source,
        "WindowData": layer.window_data_param.source,
    }
    return sources.get(layer.type, "")


def batch_of(layer: pb.LayerParameter) -> int:
    """Images in a batch of a Data or ImageData layer."""
    return layer.data_param.batch_size if layer.type == "Data" else layer.image_data_param.batch_size


def is_leveldb(path: str) -> bool:
    """Is it a folder as LevelDB leaves it?"""
    return (Path(path) / LEVELDB_FILE).is_file()


def _read_lmdb(path: Path) -> Contents:
    """Labels from dataset.json, where one that fits lies beside; else of 10,000 records, evenly spread."""
    from batchbrew.dataset.description import read_description
    from batchbrew.dataset.images import ImageError
    from batchbrew.dataset.reader import LmdbReader, datum_size, parse_datum

    with LmdbReader(path) as reader:
        description = read_description(path)
        described = description is not None and description.images == reader.count
        wanted = SAMPLED_SIZES if described else SAMPLED_LABELS
        every = max(min(wanted, reader.count) // SAMPLED_SIZES, 1)
        sample: list[int] = []
        sizes: Counter[tuple[int, int]] = Counter()
        try:
            for number, (_, value) in enumerate(reader.sample(wanted)):
                datum = parse_datum(value)
                sample.append(datum.label)
                if number % every == 0:
                    sizes[datum_size(datum)] += 1
        except ImageError as error:
            raise InputError(f"{path}: a record {error}") from error
        labels, seen = Counter(sample), len(sample)
        if described:
            assert description is not None
            labels, seen = Counter(description.label_counts), description.images
        return Contents(reader.count, +labels, seen, _in_order(sample), sizes)


def _read_list(path: Path) -> Contents:
    """Caffe takes what follows a line's last blank for the label (image_data_layer.cpp)."""
    labels: Counter[bytes] = Counter()
    order: list[bytes] = []  # the labels without immediate repetitions
    first = b""
    try:
        with path.open("rb") as file:
            for line in file:
                name, _, label = line.rstrip(b"\r\n").rpartition(b" ")
                first = first or name
                if not order or order[-1] != label:
                    order.append(label)
                labels[label] += 1
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not labels:
        raise InputError(f"{path} lists no images")
    numbers = Counter({_number(path, label): count for label, count in labels.items()})
    images = labels.total()
    in_order = images >= FEWEST_TO_TELL_ORDER and 1 < len(order) == len(labels)
    return Contents(images, numbers, images, in_order, Counter(), os.fsdecode(first))


def _number(path: Path, label: bytes) -> int:
    text = label.decode("utf-8", "replace")
    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"{path}: {text[:40]!r} is no label: a line is a path, a blank and a number"
        ) from None


def _in_order(labels: Iterable[int]) -> bool:
    """Is there more than one label, and do they never fall?"""
    listed = list(labels)
    return len(listed) >= FEWEST_TO_TELL_ORDER and len(set(listed)) > 1 and listed == sorted(listed)
