#!/usr/bin/env python3
"""How near ways of shrinking a photograph come to Lanczos's filter, what they let alias, and what they cost.

    .venv/bin/python benchmarks/resize_quality.py --photographs DIR

DIR has large photographs, for example out of Debian's mate-backgrounds (lmdb_build.py says how to get them). Each
gives a picture of 500×375 and one of 2000×1500. Peak signal-to-noise ratios are against Pillow's LANCZOS, of
which the three lobes are scaled with the picture, on all of the pixels; times are those of one core, the smallest
of some rounds. Aliasing is measured on waves that are 1.1 to 1.4 times as fine as the small picture can have:
the deviation from grey that is left of them, of 90.

The large pictures go through JPEG, quality 95: the reference is made of all their pixels, and ours may decode them
at a reduced scale.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import write_results
from numpy.typing import NDArray
from photo_mix import photographs_in
from PIL import Image as Pillow

from batchbrew.dataset.decoding import decode_picture
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import Image, sound_header
from batchbrew.dataset.making import affordable
from batchbrew.dataset.pixel_budget import ALONE_PIXELS
from batchbrew.dataset.resizing import fit, plan, scale

SMALL, LARGE = (500, 375), (2000, 1500)
TARGETS = ((260, 195), (341, 256), (450, 338))
ROUNDS = 5
Way = Callable[[Image, int, int], Image]


def main() -> None:
    """Measure on the photographs that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, required=True)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = [(resized(each, SMALL), jpeg(resized(each, LARGE))) for each in photographs(asked.photographs)]
    small, large = [each for each, _ in pictures], [each for _, each in pictures]
    rows: dict[str, Any] = {"photographs": len(pictures)}
    for size in TARGETS:
        rows[f"500x375 to {size[0]}x{size[1]}"] = {
            name: measured(way, small, size) for name, way in ways().items()
        }
    rows["JPEG of 2000x1500 to 341x256"] = from_large(large)
    write_results("resize_quality", rows)


def photographs(folder: Path) -> Iterator[Image]:
    """The middles of the photographs, in 4:3."""
    for pixels in photographs_in(folder, LARGE):
        rows, columns = pixels.shape[:2]
        height = min(rows, columns * 3 // 4)
        width = height * 4 // 3
        top, left = (rows - height) // 2, (columns - width) // 2
        yield pixels[top : top + height, left : left + width]


def resized(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def ways() -> dict[str, Way]:
    """All that shrink to width and height; ours last."""
    opencv = {"INTER_LINEAR": cv2.INTER_LINEAR, "INTER_CUBIC": cv2.INTER_CUBIC, "INTER_AREA": cv2.INTER_AREA}
    pillow = {"Pillow BILINEAR": Pillow.Resampling.BILINEAR, "Pillow BICUBIC": Pillow.Resampling.BICUBIC}
    return {
        **{name: by_opencv(number) for name, number in opencv.items()},
        **{name: by_pillow(kind) for name, kind in pillow.items()},
        "BatchBrew": scale,
    }


def by_opencv(interpolation: int) -> Way:
    return lambda image, width, height: np.asarray(
        cv2.resize(image, (width, height), interpolation=interpolation), np.uint8
    )


def by_pillow(kind: Pillow.Resampling) -> Way:
    return lambda image, width, height: np.asarray(Pillow.fromarray(image).resize((width, height), kind))


LANCZOS = by_pillow(Pillow.Resampling.LANCZOS)


def measured(way: Way, pictures: Sequence[Image], size: tuple[int, int]) -> dict[str, float]:
    """Quality on the photographs, aliasing, and milliseconds a picture."""
    ratios = [psnr(way(picture, *size), LANCZOS(picture, *size)) for picture in pictures]
    milliseconds = fastest(lambda: [way(picture, *size) for picture in pictures], len(pictures))
    return {**quality(ratios), "aliasing": round(aliasing(way, size), 1), "ms": milliseconds}


def quality(ratios: Sequence[float]) -> dict[str, float]:
    return {"psnr_mean_db": round(statistics.mean(ratios), 2), "psnr_worst_db": round(min(ratios), 2)}


def psnr(image: Image, wanted: Image) -> float:
    """Decibels, of 255."""
    error = float(np.square(image.astype(np.float64) - wanted).mean())
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def fastest(work: Callable[[], object], pictures: int) -> float:
    """Milliseconds a picture."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return round(1000 * min(taken) / pictures, 3)


def aliasing(way: Way, size: tuple[int, int]) -> float:
    """Deviation from grey where a zone plate's waves are 1.1 to 1.4 times as fine as the small picture can have."""
    width, height = SMALL
    x = np.arange(width)
    finest = 0.5 * size[0] / width  # waves an old pixel that the small picture can have
    begin, end = min(0.45, 1.1 * finest), min(0.5, 1.4 * finest)
    phase: NDArray[np.float64] = 2 * np.pi * (begin * x + (end - begin) * x * x / (2 * width))
    waves = (127.5 + 127.5 * np.cos(phase)).astype(np.uint8)
    plate = np.repeat(np.tile(waves, (height, 1))[:, :, np.newaxis], 3, axis=2)
    return float(way(plate, *size)[:, 8:-8].astype(np.float64).std())


def from_large(files: Sequence[bytes]) -> dict[str, dict[str, float]]:
    """Decoding and shrinking, as a builder does it."""

    def whole(data: bytes) -> Image:
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)

    def ours(data: bytes) -> Image:
        header = sound_header(data)
        geometry = plan(header.width, header.height, ImageOptions())
        reduction, _ = affordable(header, geometry, 1, ALONE_PIXELS)
        return fit(decode_picture(data, header, reduction, False)[0], geometry)

    subjects: dict[str, Callable[[bytes], Image]] = {
        "whole, INTER_LINEAR": lambda data: by_opencv(cv2.INTER_LINEAR)(whole(data), 341, 256),
        "whole, INTER_AREA": lambda data: by_opencv(cv2.INTER_AREA)(whole(data), 341, 256),
        "BatchBrew": ours,
    }
    wanted = [LANCZOS(whole(data), 341, 256) for data in files]
    rows = {}
    for name, subject in subjects.items():
        ratios = [psnr(subject(data), each) for data, each in zip(files, wanted, strict=True)]
        rows[name] = {
            **quality(ratios), "ms": fastest(lambda subject=subject: [subject(data) for data in files], len(files)),  # type: ignore[misc]
        }  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
