import struct
import threading
import zlib
from typing import Any

import cv2
import numpy as np
import pytest

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import Image, ImageError, decode_stored
from batchbrew.dataset.making import Made, make, sums_of
from batchbrew.dataset.pixel_budget import PixelBudget
from batchbrew.dataset.resizing import Geometry, fit
from batchbrew.proto import caffe_pb2 as pb
from tests.dataset.pictures import by_pillow, encoded, picture

SMALL = (cv2.IMWRITE_PNG_COMPRESSION, 9)
PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


def made(data: bytes, path: str = "1.JPEG", label: int = 7, **options: Any) -> Made:
    return make(data, path, label, ImageOptions(**{"side": 32, **options}))


def datum(one: Made) -> pb.Datum:
    found = pb.Datum()
    found.ParseFromString(one.datum)
    return found


def stored(one: Made) -> Image:
    """H×W×C as the Data layer would have it."""
    found = datum(one)
    if found.encoded:
        return decode_stored(found.data)
    planes = np.frombuffer(found.data, np.uint8).reshape(found.channels, found.height, found.width)
    return planes.transpose(1, 2, 0)


def difference(left: Image, right: Any) -> float:
    """Mean over all pixels, in grey levels."""
    assert left.shape == right.shape
    return float(np.abs(left.astype(float) - right).mean())


def test_a_photograph() -> None:
    one = made(encoded(".jpg"))
    found = datum(one)
    assert (found.label, found.encoded, found.channels, found.height, found.width) == (7, True, 3, 32, 48)
    assert (one.source_size, one.size, one.kind, one.odd) == ((64, 96), (32, 48), "JPEG", ())
    assert not one.passed_through
    assert b"\xff\xc0" in found.data  # baseline
    assert b"Exif" not in found.data
    assert difference(stored(one), fit(picture(), Geometry((48, 32), (48, 32)))) < 4


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("source", [picture(), picture()[:, :, 0]])
def test_encodings(source: Image, gray: bool) -> None:
    data = encoded(".png", source)
    png, raw = made(data, encoding="png", gray=gray), made(data, encoding="raw", gray=gray)
    assert datum(png).data[:4] == b"\x89PNG"
    assert not datum(raw).encoded
    assert datum(raw).channels == (1 if gray else 3)
    assert np.array_equal(stored(png), stored(raw))
    assert stored(raw).shape == (32, 48, 1 if gray else 3)
    assert difference(stored(made(data, encoding="jpeg", gray=gray)), stored(raw)) < 4
    if source.ndim == 2:
        assert (stored(raw) == stored(raw)[:, :, :1]).all()
    worst, best = made(data, quality=5).datum, made(data, quality=100).datum
    assert len(worst) < len(best)


@pytest.mark.parametrize("gray", [False, True])
def test_sums_are_those_of_the_stored_pixels(gray: bool) -> None:
    for source in (picture(), picture()[:, :, 0]):
        one = made(encoded(".png", source), encoding="raw", gray=gray)
        pixels = stored(one).astype(np.int64)
        assert one.sums == tuple(pixels.sum((0, 1)).tolist())
        assert one.squares == tuple((pixels**2).sum((0, 1)).tolist())


def test_sums_of_many_pixels_are_exact() -> None:
    image = np.full((3000, 3001, 3), (255, 254, 1), np.uint8)
    count = 3000 * 3001
    assert sums_of(image) == (
        (255 * count, 254 * count, count),
        (255**2 * count, 254**2 * count, count),
    )


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (encoded(".jpg"), {"side": 64}),
        (encoded(".jpg", None, *PROGRESSIVE), {"side": 64}),
        (encoded(".jpg"), {"mode": "none"}),
        (encoded(".jpg"), {"side": 65}),  # smaller: not enlarged
        (encoded(".jpg", picture(64, 64)), {"mode": "squash", "side": 64}),
        (encoded(".jpg", picture(64, 64)), {"mode": "crop", "side": 64}),
        (encoded(".jpg", picture(64, 64)), {"mode": "pad", "side": 64}),
        (encoded(".jpg", picture()[:, :, 0]), {"side": 64, "gray": True}),
        (encoded(".png", None, *SMALL), {"side": 64, "encoding": "png"}),
        (encoded(".png", picture()[:, :, 0], *SMALL), {"side": 64, "gray": True, "encoding": "png"}),
        (by_pillow("JPEG", orientation=1), {"side": 64}),
    ],
)
def test_what_is_as_wanted_passes_through(data: bytes, options: dict[str, Any]) -> None:
    one = made(data, **options)
    assert one.passed_through
    assert datum(one).data == data
    assert (datum(one).height, datum(one).width) == one.source_size == one.size
    again = made(data, recompress=True, **options)
    assert not again.passed_through
    assert datum(again).data != data


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (encoded(".jpg"), {"side": 63}),
        (encoded(".jpg"), {"side": 64, "encoding": "png"}),
        (encoded(".png"), {"side": 64}),
        (encoded(".jpg"), {"side": 64, "gray": True}),
        (encoded(".jpg", picture()[:, :, 0]), {"side": 64}),
        (by_pillow("JPEG", "CMYK"), {"side": 64}),
        (by_pillow("JPEG", orientation=3), {"side": 64}),  # some of Caffe's readers would turn it
        (encoded(".png", np.dstack([picture(), picture()[:, :, :1]])), {"side": 64, "encoding": "png"}),
        (encoded(".png", picture().astype(np.uint16)), {"side": 64, "encoding": "png"}),
        (encoded(".jpg"), {"mode": "crop", "side": 64}),
        (encoded(".jpg"), {"mode": "pad", "side": 96}),
    ],
)
def test_what_is_not_does_not(data: bytes, options: dict[str, Any]) -> None:
    one = made(data, **options)
    assert not one.passed_through
    assert datum(one).data != data


def test_what_passes_through_has_been_decoded() -> None:
    data = encoded(".jpg")
    with pytest.raises(ImageError, match="data end before its last row"):
        made(data[: len(data) // 2] + b"\xff\xd9", side=64)


@pytest.mark.parametrize(
    ("data", "path", "odd"),
    [
        (by_pillow("JPEG", "CMYK"), "a.JPEG", ("CMYK",)),
        (encoded(".png"), "n01/n01_1.JPEG", ("a PNG named .JPEG",)),
        (encoded(".png"), "n01/n01_1.png", ()),
        (encoded(".png"), "without", ()),
        (encoded(".png", np.dstack([picture(), picture()[:, :, :1]])), "a.png", ("alpha",)),
        (encoded(".png", picture().astype(np.uint16) * 257), "a.jpg", ("a PNG named .jpg", "16 bits")),  # type: ignore[arg-type]
        (encoded(".jpg", picture()[:, :, 0]), "a.jpg", ("grey",)),
        (by_pillow("JPEG", orientation=6), "a.jpg", ("EXIF orientation ignored",)),
        (encoded(".jpg", picture(40, 30)), "a.jpg", ("smaller than 32",)),
    ],
)
def test_odd_ones_are_named(data: bytes, path: str, odd: tuple[str, ...]) -> None:
    assert made(data, path).odd == odd


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_is_applied_where_asked(orientation: int) -> None:
    data = by_pillow("JPEG", orientation=orientation)
    ignored, applied = made(data, encoding="raw"), made(data, encoding="raw", exif=True)
    plain = made(by_pillow("JPEG"), encoding="raw")
    assert ignored.datum == plain.datum
    assert applied.size == ((48, 32) if orientation >= 5 else (32, 48))
    assert applied.odd == (() if orientation == 1 else ("EXIF orientation applied",))
    back: Any = {
        1: lambda i: i, 2: np.fliplr, 3: lambda i: np.rot90(i, 2), 4: np.flipud, 5: lambda i: i.swapaxes(0, 1),
        6: np.rot90, 7: lambda i: np.rot90(i, 2).swapaxes(0, 1), 8: lambda i: np.rot90(i, -1),
    }[orientation]  # fmt: skip
    assert difference(back(stored(applied)), stored(plain)) < 1


def test_large_jpegs_are_decoded_at_a_reduced_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = cv2.imdecode

    def noted(data: Any, flags: int) -> Any:
        image = real(data, flags)
        assert image is not None
        seen.append(image.shape[:2])
        return image

    monkeypatch.setattr(cv2, "imdecode", noted)
    for side, height in ((32, 64), (64, 64), (65, 128), (129, 256), (256, 256), (257, 512), (600, 512)):
        made(encoded(".jpg", picture(700, 512)), side=side)
        assert seen.pop()[0] == height


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def without_data(width: int, height: int) -> bytes:
    """A PNG's beginning and end."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def test_a_picture_larger_than_memory_allows_is_refused_by_its_header() -> None:
    complaint = r"is a PNG of 20000×20000 pixels, which takes 1,200 MB to decode; a picture may take 300 MB"
    with pytest.raises(ImageError, match=complaint):
        made(without_data(20_000, 20_000))
    with pytest.raises(ImageError, match="pixels, which takes"):
        made(
            encoded(".jpg", picture(64, 64)).replace(struct.pack(">HH", 64, 64), b"\xff\xdc\xff\xdc"),
            mode="none",
        )


def test_progressive_jpegs_cost_their_coefficients() -> None:
    """At 1/8 the pixels are few, but libjpeg holds two bytes of each coefficient."""
    data = encoded(".jpg", picture(64, 64), *PROGRESSIVE).replace(
        struct.pack(">HH", 64, 64), b"\x4e\x20\x4e\x20"
    )
    with pytest.raises(ImageError, match="is a JPEG of 20000×20000 pixels, which takes 2,4"):
        made(data)


def test_decoding_waits_for_the_budget() -> None:
    budget = PixelBudget(20_000, 20_000)
    data, options, done = encoded(".jpg"), ImageOptions(side=64), threading.Event()

    def work() -> None:
        make(data, "a", 0, options, budget)
        done.set()

    with budget.hold(20_000):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert not done.wait(0.05)
    assert done.wait(10)
    with budget.hold(20_000):  # all of it was given back
        pass
    with pytest.raises(ImageError, match="a picture may take 0 MB"):
        make(encoded(".png", picture(200, 200)), "a", 0, options, budget)
    with budget.hold(20_000):
        pass


def test_a_size_that_no_jpeg_has() -> None:
    wide = encoded(".png", np.zeros((1, 65_600, 3), np.uint8))
    with pytest.raises(ImageError, match="is 65600×1, which cannot be stored as a JPEG"):
        made(wide, mode="none")
    assert made(wide, mode="none", encoding="png").size == (1, 65_600)


def test_twice_the_same() -> None:
    data = encoded(".jpg", picture(300, 200))
    assert made(data).datum == made(data).datum
