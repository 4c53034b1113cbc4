import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from batchbrew.dataset import images
from batchbrew.dataset.decoding import COLOUR
from batchbrew.dataset.headers import read_header
from batchbrew.dataset.images import ImageError, decode, decode_stored
from tests.dataset.pictures import by_pillow, encoded, picture

KINDS = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".ppm": "PNM", ".tif": "TIFF", ".webp": "WebP"}
PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTS = (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)


def difference(left: images.Image, right: images.Image) -> float:
    """Mean over all pixels, in grey levels."""
    assert left.shape == right.shape
    return float(np.abs(left.astype(int) - right.astype(int)).mean())


@pytest.mark.parametrize("extension", KINDS)
def test_every_kind_is_told_by_its_content_and_decoded(extension: str) -> None:
    data = encoded(extension)
    header = read_header(data)
    assert header is not None
    assert (header.kind, header.width, header.height) == (KINDS[extension], 96, 64)
    assert difference(decode(data), picture()) < 3


def test_both_other_headers_of_webp() -> None:
    for data, chunk in (
        (encoded(".webp", None, cv2.IMWRITE_WEBP_QUALITY, 90), b"VP8 "),
        (by_pillow("WEBP", orientation=1), b"VP8X"),
    ):
        assert data[12:16] == chunk
        assert read_header(data)[:3] == ("WebP", 96, 64)  # type: ignore[index]


@pytest.mark.parametrize("extension", KINDS)
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_every_kind_is_refused_when_truncated(extension: str, keep: float) -> None:
    data = encoded(extension)
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        decode(data[: int(len(data) * keep)])


@pytest.mark.parametrize("parameters", [(), PROGRESSIVE, RESTARTS])
def test_jpeg_that_lacks_any_part_of_its_end_is_refused(parameters: tuple[int, ...]) -> None:
    data = encoded(".jpg", None, *parameters)
    decode(data)
    decode(data + b"trailing rubbish")
    for missing in (1, 2, 3, len(data) // 2, len(data) - 3):
        with pytest.raises(ImageError, match="truncated JPEG"):
            decode(data[:-missing])


def test_end_of_a_thumbnail_is_not_taken_for_the_end_of_the_picture() -> None:
    data = encoded(".jpg")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(data)) + data
    with_thumbnail = data[:2] + segment + data[2:]
    assert np.array_equal(decode(with_thumbnail), decode(data))
    with pytest.raises(ImageError, match="truncated JPEG"):
        decode(with_thumbnail[: len(segment) + len(data) // 2])


@pytest.mark.parametrize("keep", [0.4, 0.9])
def test_cut_jpeg_whose_end_marker_was_put_back_is_refused(keep: float) -> None:
    data = encoded(".jpg")
    cut = data[: int(len(data) * keep)] + b"\xff\xd9"
    assert cv2.imdecode(np.frombuffer(cut, np.uint8), cv2.IMREAD_COLOR) is not None  # OpenCV says nothing
    with pytest.raises(ImageError, match="data end before its last row"):
        decode(cut)


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(97, 113), (100, 119), (104, 112), (109, 128)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_cut_near_the_end_is_found_in_any_size(
    reduction: int, size: tuple[int, int], subsampling: int
) -> None:
    """Some of the last blocks are missing; of the last there may be one row and one column in the picture."""
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    PillowImage.fromarray(noise).save(file, "JPEG", subsampling=subsampling)
    data, flags = file.getvalue(), COLOUR[reduction]
    blocks = (-(-size[0] // 16)) * (-(-size[1] // 16)) * (1 if subsampling else 4)
    cut = data[: -4 * len(data) // blocks] + b"\xff\xd9"
    for each in (data, cut):
        header, image = read_header(each), images.imdecode(each, flags)
        assert header is not None and header.jpeg is not None and image is not None
        if each is data:
            images.refuse_cut(each, header.jpeg, image, flags)
            continue
        with pytest.raises(ImageError, match="data end before its last row"):
            images.refuse_cut(each, header.jpeg, image, flags)


def test_jpeg_with_a_truly_grey_corner_is_taken() -> None:
    grey = picture()
    grey[32:, 48:] = 128
    assert decode(encoded(".jpg", grey))[-1, -1].tolist() == [128, 128, 128]


@pytest.mark.parametrize("extent", ["whole", "reduced"])
def test_looking_for_a_cut_says_nothing_of_good_pictures(
    extent: str, capfd: pytest.CaptureFixture[str]
) -> None:
    grey = picture()
    grey[32:, 48:] = 128
    flags = {"whole": cv2.IMREAD_COLOR, "reduced": cv2.IMREAD_REDUCED_COLOR_2}[extent]
    for data in (encoded(".jpg", grey), encoded(".jpg", grey, *PROGRESSIVE), by_pillow("JPEG", "CMYK")):
        header, image = read_header(data), images.imdecode(data, flags)
        assert header is not None and header.jpeg is not None and image is not None
        images.refuse_cut(data, header.jpeg, image, flags)
        assert images._drawn(data, flags) is not None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("pillow", [True, False])
def test_a_cut_in_the_last_block_alone_is_found(pillow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pillow:  # what it cannot read OpenCV decodes twice
        monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile", None)
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for data in (by_pillow("JPEG", "CMYK", image=noise), by_pillow("JPEG", "CMYK")):
        decode(data)
        with pytest.raises(ImageError, match="data end before its last row"):
            decode(data[:-12] + b"\xff\xd9")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (b"this is a text, not a photograph", "is not a JPEG, PNG"),
        (b"GIF89a" + b"\1\0\1\0" + bytes(50), "is a GIF, and no JPEG, PNG"),
        (b"\xff\xd8\xff\xd9", "gives no size"),
        (b"\x89PNG\r\n\x1a\n", "gives no size"),
        (b"II*\0\xff\xff\xff\xff", "gives no size"),
        (b"P6\nx y\n", "gives no size"),
        (b"BM" + bytes(60), "gives no size"),
    ],
)
def test_what_is_no_image(data: bytes, complaint: str) -> None:
    with pytest.raises(ImageError, match=complaint):
        decode(data)


def with_size(extension: str, side: int) -> bytes:
    """A small file whose header claims side × side pixels."""
    data = bytearray(encoded(extension))
    if extension == ".png":
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif extension == ".jpg":
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    elif extension == ".bmp":
        data[18:26] = struct.pack("<ii", side, -side)
    elif extension == ".ppm":
        data = data.replace(b"96 64", b"%d %d" % (side, side))
    elif extension == ".webp":
        assert data[12:16] == b"VP8L"
        data[21:25] = struct.pack("<I", (side - 1) | (side - 1) << 14)
    else:
        for tag in (256, 257):
            at = next(i for i in range(len(data)) if data[i : i + 4] == struct.pack("<HH", tag, 3))
            data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize("extension", KINDS)
def test_absurd_size_is_refused_before_decoding(extension: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "imdecode", lambda data, flags: pytest.fail("was decoded"))
    with pytest.raises(ImageError, match=r"of 15000×15000 pixels; at most 200,000,000"):
        decode(with_size(extension, 15000))


def test_greyscale_and_alpha_and_sixteen_bits() -> None:
    grey = picture()[:, :, 0]
    assert np.array_equal(decode(encoded(".png", grey)), np.dstack([grey] * 3))
    transparent = np.dstack([picture(), np.zeros((64, 96), np.uint8)])
    assert np.array_equal(decode(encoded(".png", transparent)), picture())
    sixteen = picture().astype(np.uint16) * 257
    assert np.array_equal(decode(encoded(".png", sixteen)), picture())  # type: ignore[arg-type]


def test_cmyk_jpeg_has_the_right_colours() -> None:
    assert difference(decode(by_pillow("JPEG", "CMYK")), picture()) < 4


def test_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "n01_1.JPEG"
    path.write_bytes(encoded(".png"))
    assert np.array_equal(decode(images.read_image_bytes(path)), picture())


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, None), (3, cv2.ROTATE_180), (6, cv2.ROTATE_90_CLOCKWISE), (8, cv2.ROTATE_90_COUNTERCLOCKWISE)],
)
def test_picture_is_turned_as_exif_says(orientation: int, turn: int | None) -> None:
    upright = picture() if turn is None else cv2.rotate(picture(), turn)
    assert difference(decode(by_pillow("JPEG", orientation=orientation)), np.asarray(upright, np.uint8)) < 3


def test_damaged_exif_is_ignored() -> None:
    data = by_pillow("JPEG", orientation=6)
    at = data.index(b"Exif\0\0") + 6
    damaged = data[:at] + b"\xff" * 16 + data[at + 16 :]
    assert difference(decode(damaged), picture()) < 3


def test_stored_image_is_decoded_as_caffe_does() -> None:
    assert decode_stored(encoded(".jpg", picture()[:, :, 0])).shape == (64, 96, 1)
    assert decode_stored(encoded(".jpg")).shape == (64, 96, 3)
    with pytest.raises(ImageError, match="8 bits"):
        decode_stored(encoded(".png", picture().astype(np.uint16)))


def test_reading_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        images.read_image_bytes(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="is not a file"):
        images.read_image_bytes(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="is not a file"):
        images.read_image_bytes(tmp_path / "pipe.jpg")
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 3)
    (tmp_path / "big.jpg").write_bytes(b"1234")
    with pytest.raises(ImageError, match="has 4 bytes, more than 3"):
        images.read_image_bytes(tmp_path / "big.jpg")


def test_hostile_length_of_a_png_chunk_is_refused_before_it_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "imdecode", lambda data, flags: pytest.fail("was decoded"))
    data = bytearray(encoded(".png"))
    data[data.index(b"IDAT") - 4] = 0xEE
    with pytest.raises(ImageError, match="is a truncated PNG: a part that it announces is missing"):
        decode(bytes(data))


def test_cut_jpeg_before_another_picture_is_refused() -> None:
    """As phones store two in one file: the second's end is not the first's."""
    whole = encoded(".jpg")
    decode(whole + whole)
    with pytest.raises(ImageError, match="data end before its last row"):
        decode(whole[: len(whole) // 2] + b"\xff\xd9" + whole)
