"""The quick way gives what the thorough one gives, or nothing."""

import random

import cv2
import numpy as np
import pytest

from batchbrew.dataset.images import Image, ImageError, decode, decode_grey, decode_stored
from batchbrew.dataset.reader import parse_datum
from batchbrew.dataset.stored_image import decode_jpeg, stored_image
from batchbrew.proto import caffe_pb2 as pb
from tests.dataset.pictures import by_pillow, encoded, picture

JPEG = encoded(".jpg")
THOROUGH = {
    cv2.IMREAD_UNCHANGED: decode_stored,
    cv2.IMREAD_COLOR: decode,
    cv2.IMREAD_GRAYSCALE: decode_grey,
}


def quick(value: bytes, flags: int = cv2.IMREAD_UNCHANGED) -> tuple[int | None, Image] | None:
    stored = stored_image(memoryview(value))
    image = None if stored is None else decode_jpeg(stored.data, flags)
    return None if stored is None or image is None else (stored.label, image)


@pytest.mark.parametrize("flags", THOROUGH)
@pytest.mark.parametrize(
    "datum",
    [
        pb.Datum(channels=3, height=64, width=96, data=JPEG, label=0, encoded=True),
        pb.Datum(data=JPEG, label=999, encoded=True),
        pb.Datum(data=JPEG, label=2**27, encoded=True),
        pb.Datum(data=JPEG, encoded=True),
        pb.Datum(data=encoded(".jpg", picture(97, 63)), label=127, encoded=True),
        pb.Datum(data=encoded(".jpg", picture()[:, :, 0]), label=128, encoded=True),
        pb.Datum(data=by_pillow("JPEG", orientation=6), label=1, encoded=True),
        pb.Datum(data=encoded(".jpg", picture(1, 1)), label=1, encoded=True),
        pb.Datum(data=encoded(".jpg", picture(), cv2.IMWRITE_JPEG_RST_INTERVAL, 2), label=1, encoded=True),
    ],
    ids=["all fields", "no sizes", "large label", "no label", "odd sides", "grey", "turned", "1×1", "restarts"],
)  # fmt: skip
def test_usual_records(datum: pb.Datum, flags: int) -> None:
    found = quick(datum.SerializeToString(), flags)
    assert found is not None
    assert found[0] == (datum.label if datum.HasField("label") else None)
    expected = THOROUGH[flags](datum.data)
    assert found[1].shape == expected.shape
    assert np.array_equal(found[1], expected)


def grey_end() -> bytes:
    """Its last block is 128 all over, as if the file had been cut."""
    pixels = picture()
    pixels[-16:, -16:] = 128
    return encoded(".jpg", pixels)


@pytest.mark.parametrize(
    "value",
    [
        pb.Datum(channels=1, height=1, width=1, data=b"x", label=1),
        pb.Datum(data=JPEG, label=1),
        pb.Datum(data=JPEG, label=-1, encoded=True),
        pb.Datum(data=JPEG, label=2**28, encoded=True),
        pb.Datum(data=JPEG, float_data=[1], encoded=True),
        pb.Datum(label=1, encoded=True),
        pb.Datum(data=encoded(".png"), encoded=True),
        pb.Datum(data=JPEG + b"\0", encoded=True),
        pb.Datum(data=JPEG[:-300], encoded=True),
        pb.Datum(data=JPEG[:-300] + b"\xff\xd9", encoded=True),
        pb.Datum(data=grey_end(), encoded=True),
        pb.Datum(data=encoded(".jpg", picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), encoded=True),
        pb.Datum(data=b"\xff\xd8\xff\xd9", encoded=True),
        pb.Datum(data=JPEG[:200] + b"\xff\xd9", encoded=True),
    ],
)
def test_what_is_not_usual_is_left_to_the_thorough_way(value: pb.Datum) -> None:
    assert quick(value.SerializeToString()) is None


def test_records_that_are_cut_or_longer_than_they_say() -> None:
    value = pb.Datum(data=JPEG, label=300, encoded=True).SerializeToString()
    for end in (0, 1, 2, 3, len(value) - 1, len(value) - 2, len(value) - 3, len(value) // 2):
        assert stored_image(memoryview(value[:end])) is None
    for more in (b"\x40\x01", b"\x0b", b"\x28\x80\x80\x80\x80\x80", b"\x00"):
        assert stored_image(memoryview(value + more)) is None
    longer = pb.Datum(data=JPEG + b"12345").SerializeToString()[:-5]  # the last field has too few bytes
    assert stored_image(memoryview(b"\x38\x01" + longer)) is None
    found = stored_image(memoryview(value + b"\x28\x07"))  # of one field the last counts
    assert found is not None
    assert (found.label, bytes(found.data)) == (7, JPEG)


def test_an_absurd_size_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchbrew.dataset.stored_image.MAX_PIXELS", 96 * 64)
    assert decode_jpeg(memoryview(JPEG), cv2.IMREAD_UNCHANGED) is not None
    monkeypatch.setattr("batchbrew.dataset.stored_image.MAX_PIXELS", 96 * 64 - 1)
    assert decode_jpeg(memoryview(JPEG), cv2.IMREAD_UNCHANGED) is None


@pytest.mark.parametrize("seed", range(4))
def test_damaged_records_are_never_read_otherwise_than_by_the_thorough_way(seed: int) -> None:
    chance = random.Random(seed)
    sound = pb.Datum(channels=3, height=64, width=96, data=JPEG, label=700, encoded=True).SerializeToString()
    read = 0
    for _ in range(120):
        damaged = bytearray(sound)
        head = chance.random() < 0.7  # the Datum's numbers and the JPEG's headers
        for _ in range(chance.choice([1, 1, 4])):
            damaged[chance.randrange(60 if head else len(sound))] = chance.randrange(256)
        found = quick(bytes(damaged))
        if found is None:
            continue
        read += 1
        datum = parse_datum(bytes(damaged))
        assert datum.encoded
        assert found[0] == (datum.label if datum.HasField("label") else None)
        try:
            expected = decode_stored(datum.data)
        except ImageError as error:
            pytest.fail(f"{error}")
        assert np.array_equal(found[1], expected)
    assert read > 10
