"""LMDBs of made-up pictures, stored as JPEGs of photographs' size and detail, whose labels a net can learn."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.parallel import default_workers
from batchbrew.dataset.sources import Entry, FilesSource

SHORT_SIDE, QUALITY = 256, 95
ASPECTS = ((4, 3), (3, 4), (3, 2), (1, 1))  # width by height
ROUGHNESS = 24.0  # grey levels of the coarsest detail; each finer one has less, as in photographs
FALL = 0.77  # of the detail from one size to half of it; like this a JPEG is about as large as a photograph's
TINT = 40.0  # grey levels by which a class's colour differs from grey

Pixels = NDArray[np.uint8]


def made_up_lmdb(
    folder: Path, images: int, classes: int, *, seed: int = 1, short_side: int = SHORT_SIDE
) -> Path:
    """A new LMDB in `folder`, of `images` pictures: JPEGs of that short side, as `batchbrew lmdb build` stores them."""
    with tempfile.TemporaryDirectory(prefix="batchbrew-pictures-") as name:
        root = Path(name)

        def write(index: int) -> Entry:
            label = index % classes
            encoded = cv2.imencode(".jpg", picture(seed, index, label, classes, short_side), ENCODING)[1]
            (root / f"{index}.jpg").write_bytes(encoded.tobytes())
            return Entry(f"{index}.jpg", label)

        with ThreadPoolExecutor(default_workers()) as pool:
            entries = list(pool.map(write, range(images)))
        options = BuildOptions(ImageOptions(side=short_side, quality=QUALITY))
        build_lmdb(FilesSource(entries, root), folder, options)
    return folder


ENCODING = (cv2.IMWRITE_JPEG_QUALITY, QUALITY)


def picture(seed: int, index: int, label: int, classes: int, short_side: int) -> Pixels:
    """H×W×3, BGR: clouds with detail of every size, in a colour that tells the label."""
    draw = np.random.default_rng((seed, index))
    aspect = ASPECTS[int(draw.integers(len(ASPECTS)))]
    width, height = (round(short_side * side / min(aspect)) for side in aspect)
    made = np.full((height, width, 3), 128, np.float32) + colour(label, classes)
    for coarse, strength in octaves(short_side):
        shape = (max(2, height // coarse), max(2, width // coarse), 3)
        detail = draw.standard_normal(shape, np.float32)
        detail[..., 1:] = 0.7 * detail[..., :1] + 0.3 * detail[..., 1:]  # colours go together mostly
        made += strength * cv2.resize(detail, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(made, 0, 255), np.uint8)


def octaves(short_side: int) -> Iterator[tuple[int, float]]:
    """Pixels between independent numbers, and how strong they are."""
    distance, strength = max(1, short_side // 4), ROUGHNESS / FALL
    while distance >= 1:
        strength *= FALL
        yield distance, strength
        distance //= 2


def colour(label: int, classes: int) -> NDArray[np.float32]:
    """Around the colour circle."""
    angles = 2 * np.pi * (label / classes + np.arange(3) / 3)
    return np.asarray(TINT * np.cos(angles), np.float32)
