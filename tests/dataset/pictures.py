"""Made-up photographs for the tests: smooth, coloured, the same every time."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage

from batchbrew.dataset.images import Image


def picture(width: int = 96, height: int = 64, seed: int = 0) -> Image:
    """H×W×3 BGR with soft shapes, which JPEG changes by a few grey levels only."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(extension: str, image: Image | None = None, *parameters: int) -> bytes:
    """The file's bytes, by OpenCV."""
    done, data = cv2.imencode(extension, picture() if image is None else image, list(parameters))
    assert done
    return data.tobytes()


def by_pillow(
    kind: str, mode: str = "RGB", orientation: int | None = None, image: Image | None = None
) -> bytes:
    """The file's bytes, by Pillow, which can do what OpenCV cannot (CMYK, EXIF)."""
    pixels = picture() if image is None else image
    converted = PillowImage.fromarray(pixels[:, :, ::-1]).convert(mode)
    exif = PillowImage.Exif()
    if orientation is not None:
        exif[0x112] = orientation
    file = io.BytesIO()
    converted.save(file, kind, exif=exif)
    return file.getvalue()


def write_pictures(root: Path, count: int, width: int = 96, height: int = 64) -> list[str]:
    """Write 0.jpg, 1.jpg, ...; returns their names."""
    names = [f"{number}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        (root / name).write_bytes(encoded(".jpg", picture(width, height, number)))
    return names
