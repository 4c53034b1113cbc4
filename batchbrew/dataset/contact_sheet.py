"""A picture of some records of an LMDB with their labels, to see whether they belong together."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew import atomic
from batchbrew.dataset.derivation import Parent
from batchbrew.dataset.images import Image, ImageError
from batchbrew.dataset.progress import Progress
from batchbrew.dataset.reader import LmdbReader, Record, parse_datum, shown_key
from batchbrew.dataset.sources import permutation
from batchbrew.errors import InputError

TILE = 160  # pixels
CAPTION = 18
GAP = 4
MAX_RECORDS = 1000


class Shown(NamedTuple):
    """What is on a sheet, and what should be."""

    records: int
    left_out: Sequence[str]
    """Records that are damaged, each with what is wrong with it."""


def write_contact_sheet(
    path: Path,
    out: Path,
    count: int,
    *,
    seed: int | None = None,
    label: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Shown:
    """Write a PNG with `count` records of the data set `path`, in its order.

    They are evenly spread, or drawn by `seed`. Of one `label`, they are always drawn (by seed 0): records are looked at
    in a random order until enough have that label, as nobody knows where those lie. Damaged ones are left out. Raises
    InputError if none can be shown, or something would be overwritten without `force`.
    """
    if not 1 <= count <= MAX_RECORDS:
        raise InputError(f"{count} records cannot be shown: give 1 to {MAX_RECORDS}")
    if out.suffix.lower() != ".png":
        raise InputError(f"{out} is not a name for a PNG file: let it end in .png")
    if out.exists() and not force:
        raise InputError(f"{out} exists already: choose another name, or replace it with --force")
    with LmdbReader(path) as reader:
        names = Parent.at(path, reader.count).class_names
        left_out: list[str] = []
        if label is not None:
            numbers = _of_label(reader, label, count, seed or 0, left_out, progress)
        elif seed is not None:
            numbers = sorted(permutation(reader.count, seed)[:count])
        else:
            numbers = _spread(reader.count, count)
        records = list(_readable(reader, numbers, left_out))
    if not records:
        raise InputError(
            f"none of {len(left_out):,} records of {path} can be shown: {left_out[0]}; `batchbrew lmdb verify` lists "
            "all that is wrong"
        )
    done, data = cv2.imencode(".png", contact_sheet(records, names))
    assert done
    atomic.write_file(out, data.tobytes())
    return Shown(len(records), left_out)


def _readable(reader: LmdbReader, numbers: Sequence[int], left_out: list[str]) -> Iterator[Record]:
    for number in numbers:
        try:
            yield reader.parse(*reader.item(number))
        except InputError as error:
            left_out.append(f"number {number:,}, {error}")


def _spread(records: int, count: int) -> list[int]:
    step = max(records / count, 1.0)
    return [int(place * step) for place in range(min(count, records))]


def _of_label(
    reader: LmdbReader, label: int, count: int, seed: int, left_out: list[str], progress: Progress | None
) -> list[int]:
    """Numbers of records; those of which the label cannot be read go to `left_out`."""
    found: list[int] = []
    for done, number in enumerate(permutation(reader.count, seed), start=1):
        key, value = reader.item(number)
        try:
            if parse_datum(value).label == label:
                found.append(number)
        except ImageError as error:
            left_out.append(f"number {number:,}, {reader.path}: record {shown_key(key)} {error}")
        if progress is not None:
            progress(done, reader.count, len(left_out))
        if len(found) == count:
            break
    if not found:
        raise InputError(f"{reader.path} has no record of label {label}: see `batchbrew lmdb info --full`")
    return sorted(found)


def contact_sheet(records: Sequence[Record], class_names: Sequence[str] | None) -> Image:
    """Tiles in reading order, each an image fitted into 160×160 over its label and its class's name."""
    columns = max(math.ceil(math.sqrt(len(records))), 1)
    rows = math.ceil(len(records) / columns)
    step_x, step_y = TILE + GAP, TILE + CAPTION + GAP
    sheet = np.full((rows * step_y + GAP, columns * step_x + GAP, 3), 255, np.uint8)
    for index, record in enumerate(records):
        top, left = GAP + index // columns * step_y, GAP + index % columns * step_x
        picture = _fitted(_displayable(record.image))
        height, width = picture.shape[:2]
        sheet[top : top + height, left : left + width] = picture
        tile = sheet[top + TILE : top + TILE + CAPTION, left : left + TILE]
        text = _caption(record.label, class_names)
        cv2.putText(tile, text, (1, CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet


def _caption(label: int, class_names: Sequence[str] | None) -> str:
    name = class_names[label] if class_names and 0 <= label < len(class_names) else ""
    return f"{label} {name}".encode("ascii", "replace").decode("ascii")  # all that OpenCV's fonts have


def _displayable(image: NDArray[np.uint8] | NDArray[np.float32]) -> Image:
    """H×W×3 uint8: floats are cut to 0..255; unless there are 3 or 4 channels, the first is shown as grey."""
    pixels = np.clip(np.nan_to_num(image), 0, 255).astype(np.uint8)
    return pixels[:, :, :3] if pixels.shape[2] in (3, 4) else np.repeat(pixels[:, :, :1], 3, axis=2)


def _fitted(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = TILE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    fitted = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    return cast(Image, fitted)
