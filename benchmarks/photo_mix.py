"""A set of JPEGs mixed like ImageNet's, cut from large photographs: what builders of LMDBs are measured on.

Of every 100 files 68 are 500×375, 18 are 375×500, 6 are 2000×1500 or 1500×2000 and 8 are 240×180. Each is a
window of a photograph, at a random place and of a random size from that of the file up to all of the photograph,
scaled by INTER_AREA; its JPEG quality is 90 to 96. With photographs of 3 to 15 megapixels a file has 97 KB in the
mean (ImageNet's has 108). The seed is fixed, so that the same photographs give the same set.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MIX = (((500, 375), 68), ((375, 500), 18), ((2000, 1500), 4), ((1500, 2000), 2), ((240, 180), 8))
"""Width and height, and how many of a hundred."""
QUALITIES = range(90, 97)
KINDS = (".jpg", ".jpeg", ".png")
OPENED_TIMES = 60  # files in a row that are cut from one photograph
LABELS = 10


def make_mix(photographs: Path, folder: Path, count: int) -> Path:
    """Write `count` JPEGs into `folder` from the photographs below another; returns their list, in Caffe's format."""
    uniform = random.Random(0)
    sizes = [size for size, share in MIX for _ in range(share)]
    uniform.shuffle(sizes)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    windows = _windows(_found(photographs), uniform)
    for number in range(count):
        name = f"{number:06d}.JPEG"
        width, height = sizes[number % len(sizes)]
        window = next(windows).cut(width, height, uniform)
        quality = uniform.choice(QUALITIES)
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), window, [cv2.IMWRITE_JPEG_QUALITY, quality])
        (folder / f"{number:06d}.jpg").rename(folder / name)
        lines.append(f"{name} {number % LABELS}\n")
    listed = folder / "list.txt"
    listed.write_text("".join(lines), encoding="utf-8")
    return listed


class _Photograph:
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def cut(self, width: int, height: int, uniform: random.Random) -> NDArray[np.uint8]:
        """A window of the photograph as a picture of that size."""
        rows, columns = self.pixels.shape[:2]
        largest = min(rows / height, columns / width)
        zoom = min(largest, 1.0) + uniform.random() * max(0.0, largest - 1.0)
        high, wide = int(height * zoom), int(width * zoom)
        top, left = uniform.randrange(rows - high + 1), uniform.randrange(columns - wide + 1)
        window = self.pixels[top : top + high, left : left + wide]
        return np.asarray(cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _found(photographs: Path) -> list[Path]:
    found = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in KINDS and path.is_file())
    if not found:
        sys.exit(f"{photographs} has no JPEG or PNG below it: name a folder of large photographs")
    return found


def _windows(paths: Sequence[Path], uniform: random.Random) -> Iterator[_Photograph]:
    """Photographs in turn, each some times; those that are too small for the largest files are passed over."""
    smallest = max(max(size) for size, _ in MIX)
    while True:
        usable = 0
        for path in paths:
            pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if pixels is None or min(pixels.shape[:2]) < 0.7 * smallest:
                continue
            usable += 1
            photograph = _Photograph(np.asarray(pixels, np.uint8))
            for _ in range(OPENED_TIMES):
                yield photograph
        if not usable:
            sys.exit("none of the photographs has a short side of 1400 pixels: name larger ones")
