"""A set of JPEGs mixed like ImageNet's, cut from large photographs: what builders of LMDBs are measured on.

Of every 100 files 68 are 500×375, 18 are 375×500, 6 are 2000×1500 or 1500×2000 and 8 are 240×180. Each is a
window of a photograph, at a random place and of a random size from that of the file up to all of the photograph,
scaled by INTER_AREA; its JPEG quality is 92 to 97 (a file of ImageNet's has 108 KB in the mean). The seed is
fixed, so that the same photographs give the same set.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MIX = (((500, 375), 68), ((375, 500), 18), ((2000, 1500), 4), ((1500, 2000), 2), ((240, 180), 8))
"""Width and height, and how many of a hundred."""
QUALITIES = range(92, 98)
KINDS = (".jpg", ".jpeg", ".png")
LARGEST = (2000, 1500)
CUT_TIMES = 60  # files in a row that are cut from one photograph
LABELS = 10


def make_mix(photographs: Path, folder: Path, count: int) -> Path:
    """Write `count` JPEGs into `folder` from the photographs below another; returns their list, in Caffe's format."""
    uniform = random.Random(0)
    sizes = [size for size, share in MIX for _ in range(share)]
    uniform.shuffle(sizes)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    windows = _windows(photographs)
    for number in range(count):
        name = f"{number:06d}.JPEG"
        width, height = sizes[number % len(sizes)]
        window = _cut(next(windows), width, height, uniform)
        quality = uniform.choice(QUALITIES)
        data = cv2.imencode(".jpg", window, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        (folder / name).write_bytes(data.tobytes())
        lines.append(f"{name} {number % LABELS}\n")
    listed = folder / "list.txt"
    listed.write_text("".join(lines), encoding="utf-8")
    return listed


def photographs_in(folder: Path, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """The pixels of those below a folder that are as large as `size`, width and height, whichever side is longer.

    Ends the program if there are none.
    """
    found = False
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in KINDS or not path.is_file():
            continue
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is not None and min(pixels.shape[:2]) >= min(size) and max(pixels.shape[:2]) >= max(size):
            found = True
            yield np.asarray(pixels, np.uint8)
    if not found:
        sys.exit(
            f"{folder} has no photographs of {size[0]}×{size[1]} or more below it: name a folder of large ones"
        )


def _windows(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Photographs in turn, each for some files in a row."""
    while True:
        for pixels in photographs_in(folder, LARGEST):
            for _ in range(CUT_TIMES):
                yield pixels


def _cut(photograph: NDArray[np.uint8], width: int, height: int, uniform: random.Random) -> NDArray[np.uint8]:
    """A window of the photograph as a picture of that size; if it is too small, a window that is enlarged."""
    rows, columns = photograph.shape[:2]
    largest = min(rows / height, columns / width)
    zoom = min(largest, 1.0) + uniform.random() * max(0.0, largest - 1.0)
    high, wide = int(height * zoom), int(width * zoom)
    top, left = uniform.randrange(rows - high + 1), uniform.randrange(columns - wide + 1)
    window = photograph[top : top + high, left : left + wide]
    return np.asarray(cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
