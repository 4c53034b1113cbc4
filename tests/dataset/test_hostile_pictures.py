"""Files in which bytes were changed: each is refused with a reason, or whole; the process lives."""

import io
import random
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import ImageError, decode_stored
from batchbrew.dataset.making import make
from batchbrew.dataset.pixel_budget import PixelBudget
from batchbrew.proto import caffe_pb2 as pb
from tests.dataset.pictures import by_pillow, encoded, picture

CHANGED_FILES = 25  # of each kind
HEADER_BYTES = 64  # half of the changes are here, or in EXIF blocks
PICTURE = picture(48, 40)
RGB = Pillow.fromarray(PICTURE[:, :, ::-1])


def _saved(kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    RGB.convert(mode).save(file, kind, **options)
    return file.getvalue()


FILES = {
    "JPEG": by_pillow("JPEG", orientation=6, image=PICTURE),
    "progressive": encoded(".jpg", PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "CMYK": _saved("JPEG", "CMYK"),
    "PNG": by_pillow("PNG", orientation=3, image=PICTURE),
    "palette": _saved("PNG", "P", transparency=3),
    "RGBA": _saved("PNG", "RGBA"),
    "16 bits": encoded(".png", PICTURE.astype(np.uint16) * 257),  # type: ignore[arg-type]
    "GIF": _saved("GIF", save_all=True, append_images=[RGB]),
    "BMP": _saved("BMP"),
    "PNM": _saved("PPM"),
    "TIFF": _saved("TIFF", compression="tiff_lzw"),
    "TIFF with alpha": _saved("TIFF", "RGBA"),
    "WebP": by_pillow("WEBP", orientation=8, image=PICTURE),
    "animated WebP": _saved("WEBP", save_all=True, append_images=[RGB.rotate(90)]),
}


def changed(data: bytes, seed: int) -> Iterator[bytes]:
    """The file with some bytes or lengths changed, cut, or with a part twice."""
    uniform = random.Random(seed)
    for number in range(CHANGED_FILES):
        result = bytearray(data)
        for _ in range(uniform.choice((1, 1, 3, 12))):
            at = uniform.randrange(min(len(result), HEADER_BYTES) if uniform.random() < 0.5 else len(result))
            result[at] = uniform.choice((0, 1, 0x7F, 0x80, 0xFF, uniform.randrange(256)))
        if number % 5 == 0:
            del result[uniform.randrange(len(result)) :]
        elif number % 5 == 1:
            at = uniform.randrange(len(result))
            result[at:at] = result[at : at + 100]
        yield bytes(result)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", FILES)
def test_changed_files_are_refused_or_whole(kind: str) -> None:
    budget = PixelBudget(4_000_000, 4_000_000)
    options = [
        ImageOptions(side=24), ImageOptions(side=24, mode="crop", encoding="raw", exif=True),
        ImageOptions(mode="none", gray=True), ImageOptions(mode="pad", side=50, encoding="png"),
    ]  # fmt: skip
    whole = make(FILES[kind], "a.jpg", 1, options[0], budget)
    assert whole.size == (24, 29)  # 28.8
    for number, data in enumerate(changed(FILES[kind], len(kind))):
        wanted = options[number % len(options)]
        try:
            made = make(data, "a.jpg", 1, wanted, budget)
        except ImageError as error:
            assert str(error)
            continue
        datum = pb.Datum.FromString(made.datum)
        if datum.encoded:
            assert decode_stored(datum.data).shape == (*made.size, wanted.channels)
        else:
            assert len(datum.data) == made.size[0] * made.size[1] * wanted.channels
    with budget.hold(4_000_000):  # whatever happened, all of it was given back
        pass
