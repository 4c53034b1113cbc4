import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from batchbrew.dataset import decoding
from batchbrew.dataset.decoding import decode_picture, turned
from batchbrew.dataset.images import Image, ImageError, sound_header
from tests.dataset.pictures import by_pillow, encoded, picture

RGB = Pillow.fromarray(picture()[:, :, ::-1])


def saved(image: Pillow.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes, reduction: int = 1, gray: bool = False) -> tuple[Image, list[str]]:
    return decode_picture(data, sound_header(data), reduction, gray)


def difference(left: Image, right: Any) -> float:
    """Mean over all pixels, in grey levels."""
    assert left.shape == right.shape
    return float(np.abs(left.astype(float) - right).mean())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM"])
def test_plain_ones(kind: str) -> None:
    image, odd = decoded(saved(RGB, kind))
    assert odd == []
    assert difference(image, picture()) < (3 if kind in ("JPEG", "WEBP") else 0.001)


def test_gif_and_palette() -> None:
    few = RGB.quantize(64)
    expected = np.asarray(few.convert("RGB"))[:, :, ::-1]
    for kind in ("GIF", "PNG"):
        image, odd = decoded(saved(few, kind))
        assert odd == []
        assert np.array_equal(image, expected)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_first_frame_of_an_animation(kind: str) -> None:
    other = RGB.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)
    image, odd = decoded(saved(RGB, kind, save_all=True, append_images=[other, RGB]))
    assert odd == ["the first of 3 frames"]
    assert difference(image, picture()) < 8


def without_adobe(data: bytes) -> bytes:
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def test_cmyk_inverted_by_adobe_or_not() -> None:
    inks = RGB.convert("CMYK")
    image, odd = decoded(saved(inks, "JPEG", quality=95))
    assert odd == ["CMYK"]
    assert difference(image, picture()) < 3
    # Pillow inverts what it writes: inverted before, 0 is no ink in the file.
    plain = Pillow.fromarray(255 - np.asarray(inks), "CMYK")
    image, odd = decoded(without_adobe(saved(plain, "JPEG", quality=95)))
    assert odd == ["CMYK"]
    assert difference(image, picture()) < 3


def ycck(data: bytes) -> bytes:
    """The same CMYK JPEG with Adobe's marker saying that its inks are coded as YCCK."""
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def test_ycck() -> None:
    blue, green, red = (255.0 - picture()[:, :, channel] for channel in range(3))  # inks, as libjpeg has them
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = [128 + (blue - luma) * 0.564, 128 + (red - luma) * 0.713]
    # Pillow inverts what it writes.
    planes = [
        np.uint8(np.rint(np.clip(plane, 0, 255))) for plane in (luma, *chroma, np.full((64, 96), 255.0))
    ]
    stored = Pillow.fromarray(255 - np.dstack(planes), "CMYK")
    image, odd = decoded(ycck(saved(stored, "JPEG", quality=95)))
    assert odd == ["CMYK"]
    assert difference(image, picture()) < 4


def alpha_picture() -> tuple[Pillow.Image, Image]:
    """Transparent on the left, half so on the right; and how it looks on white."""
    alpha = np.full((64, 96), 128, np.uint8)
    alpha[:, :48] = 0
    colours = picture().astype(float)
    seen = np.rint((colours * alpha[:, :, np.newaxis] + 255.0 * (255 - alpha[:, :, np.newaxis])) / 255)
    return Pillow.fromarray(np.dstack([picture()[:, :, ::-1], alpha])), seen.astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})]
)
def test_transparency_is_laid_on_white(kind: str, options: dict[str, Any]) -> None:
    image, seen = alpha_picture()
    pixels, odd = decoded(saved(image, kind, **options))
    assert odd == ["alpha"]
    assert np.array_equal(pixels, seen)


def test_opaque_alpha_is_nothing_special() -> None:
    pixels, odd = decoded(saved(RGB.convert("RGBA"), "PNG"))
    assert odd == []
    assert np.array_equal(pixels, picture())


def test_transparent_colours() -> None:
    few = RGB.quantize(16)
    index = int(np.asarray(few)[0, 0])
    for kind in ("PNG", "GIF"):
        pixels, odd = decoded(saved(few, kind, transparency=index))
        assert odd == ["alpha"]
        assert pixels[0, 0].tolist() == [255, 255, 255]
    grey = RGB.convert("L")
    grey.putalpha(Pillow.fromarray(np.full((64, 96), 0, np.uint8)))
    pixels, odd = decoded(saved(grey, "PNG"))
    assert odd == ["alpha"]
    assert (pixels == 255).all()


@pytest.mark.parametrize("extension", [".png", ".tif", ".ppm"])
def test_sixteen_bits_are_divided_by_257_and_rounded(extension: str) -> None:
    deep = np.array([[[0, 128, 129], [385, 386, 65535], [65406, 65407, 32768]]], np.uint16)
    pixels, odd = decoded(cv2.imencode(extension, deep)[1].tobytes())
    assert odd == ["16 bits"]
    # 128/257 = 0.498, 129/257 = 0.502, 385/257 = 1.498, 386/257 = 1.502, 65406/257 = 254.498, 32768/257 = 127.502
    assert pixels.tolist() == [[[0, 0, 1], [1, 2, 255], [254, 255, 128]]]


def test_sixteen_bits_with_alpha() -> None:
    deep = np.full((3, 5, 4), 65535, np.uint16)
    deep[:, :, 0], deep[:, :, 3] = 257 * 100, 257 * 51
    pixels, odd = decoded(cv2.imencode(".png", deep)[1].tobytes())
    assert odd == ["16 bits", "alpha"]
    assert pixels[0, 0].tolist() == [224, 255, 255]  # 100·0.2 + 255·0.8


@pytest.mark.parametrize(
    "data",
    [
        saved(RGB.convert("L"), "JPEG"),
        saved(RGB.convert("L"), "PNG"),
        saved(RGB.convert("1"), "PNG"),
        saved(RGB.convert("1"), "TIFF", compression="group4"),
    ],
)
def test_grey_is_one_channel(data: bytes) -> None:
    image, odd = decoded(data)
    assert image.shape == (64, 96)
    assert odd == ["grey"]
    assert decoded(data, gray=True)[1] == []


def test_gray_of_colours() -> None:
    luma = picture() @ np.array([0.114, 0.587, 0.299])
    for kind in ("JPEG", "PNG", "GIF"):
        image, odd = decoded(saved(RGB, kind), gray=True)
        assert odd == []
        assert difference(image, luma) < 5


def test_numbers_that_are_no_picture() -> None:
    floats = cv2.imencode(".tif", picture().astype(np.float32))[1].tobytes()
    with pytest.raises(ImageError, match="is a TIFF of float32 numbers"):
        decoded(floats)


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("gray", [False, True])
def test_reduced_jpegs_have_rounded_sizes(reduction: int, gray: bool) -> None:
    data = encoded(".jpg", picture(101, 66), cv2.IMWRITE_JPEG_QUALITY, 95)
    image, _ = decoded(data, reduction, gray)
    assert image.shape[:2] == {2: (33, 51), 4: (17, 25), 8: (8, 13)}[reduction]  # 16.5 is rounded up
    wanted = cv2.resize(picture(101, 66), image.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert difference(image, cv2.cvtColor(wanted, cv2.COLOR_BGR2GRAY) if gray else wanted) < 10


TURNS: dict[int, Callable[[Image], Image]] = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_read_and_not_applied(orientation: int, kind: str) -> None:
    data = by_pillow(kind, orientation=orientation)
    assert sound_header(data).orientation == orientation
    assert difference(decoded(data)[0], picture()) < 3


@pytest.mark.parametrize("orientation", TURNS)
def test_turning(orientation: int) -> None:
    assert np.array_equal(turned(picture(), orientation), TURNS[orientation](picture()))


def test_sizes_that_are_not_the_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a budget of pixels would hold another picture than was asked for."""
    monkeypatch.setattr(decoding, "imdecode", lambda data, flags: np.zeros((64, 97, 3), np.uint8))
    with pytest.raises(
        ImageError, match="is a damaged PNG: it has 97×64 pixels, where its header says 96×64"
    ):
        decoded(encoded(".png"))
    lying = bytearray(by_pillow("WEBP", orientation=1))
    assert lying[12:16] == b"VP8X"
    lying[24:27] = struct.pack("<I", 999)[:3]
    monkeypatch.undo()
    with pytest.raises(ImageError, match="is a damaged"):
        decoded(bytes(lying))


def test_cut_cmyk_whose_end_was_put_back() -> None:
    data = saved(RGB.convert("CMYK"), "JPEG")
    for whole in (data, without_adobe(data)):
        decoded(whole)
        with pytest.raises(ImageError, match="is a truncated JPEG: its data end before its last row"):
            decoded(whole[: len(whole) * 3 // 4] + b"\xff\xd9")


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_what_pillow_cannot_decode(kind: str) -> None:
    data = saved(RGB if kind == "GIF" else RGB.convert("RGBA"), kind)
    cut = data[: len(data) // 3] if kind == "GIF" else data[:8] + data[12:]
    with pytest.raises(ImageError, match=f"is a damaged {kind}"):
        decoded(cut)


def test_a_jpeg_of_twelve_bits_is_called_that() -> None:
    data = bytearray(encoded(".jpg"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(ImageError, match="is a JPEG of 12 bits a channel: only those of 8 can be decoded"):
        decoded(bytes(data))
