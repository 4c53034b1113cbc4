from pathlib import Path

import cv2
import numpy as np
import pytest

from batchbrew.dataset import mean_file
from batchbrew.dataset.mean_file import Frame, write_mean
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.blobs import blob_array
from tests.dataset.lmdbs import raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture


def read_mean(path: Path) -> np.ndarray:
    return blob_array(caffe_pb2.BlobProto.FromString(path.read_bytes()))


def raw(values: list[int], channels: int = 1, height: int = 1, label: int = 0) -> caffe_pb2.Datum:
    return raw_datum(channels, height, len(values) // channels // height, bytes(values), label)


def test_the_mean_of_three_by_hand(tmp_path: Path) -> None:
    db = write_lmdb(tmp_path / "db", [raw([0, 10]), raw([1, 255]), raw([1, 255])])
    mean = write_mean(db, tmp_path / "mean.binaryproto")
    assert mean.images == 3
    values = read_mean(tmp_path / "mean.binaryproto")
    assert values.shape == (1, 1, 1, 2)
    assert values.tolist() == [[[[np.float32(2 / 3), np.float32(520 / 3)]]]]
    assert mean.per_channel == pytest.approx([(2 / 3 + 520 / 3) / 2])


@pytest.mark.parametrize("workers", [1, 3])
def test_chunks_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(mean_file, "CHUNK", 3)
    db = write_lmdb(tmp_path / "db", [raw([number, 2 * number]) for number in range(11)])
    done: list[int] = []
    mean = write_mean(
        db, tmp_path / "m", workers=workers, progress=lambda *call: done.append(call[0] + 0 * call[1])
    )
    assert mean.values.tolist() == [[[5.0, 10.0]]]
    assert done == [3, 6, 9, 11]


def test_floats_and_bytes_together(tmp_path: Path) -> None:
    floats = caffe_pb2.Datum(channels=1, height=1, width=2, float_data=[0.25, -3])
    for order in ([raw([1, 2]), floats], [floats, raw([1, 2])]):
        db = write_lmdb(tmp_path / f"db{order[0] is floats}", order)
        assert write_mean(db, tmp_path / f"m{order[0] is floats}").values.tolist() == [[[0.625, -0.5]]]


def test_per_channel_whatever_the_size(tmp_path: Path) -> None:
    db = write_lmdb(tmp_path / "db", [raw([0, 0, 9, 9], channels=2), raw([6, 1], channels=2)])
    mean = write_mean(db, tmp_path / "m", Frame(per_channel=True))
    assert mean.values.tolist() == [[[2.0]], [[np.float32(19 / 3)]]]
    assert read_mean(tmp_path / "m").shape == (1, 2, 1, 1)


def test_of_the_middle_or_distorted(tmp_path: Path) -> None:
    wide, tall = picture(40, 20), picture(20, 30, 1)
    db = write_lmdb(
        tmp_path / "db",
        [caffe_pb2.Datum(data=encoded(".png", image), encoded=True) for image in (wide, tall)],
    )
    cropped = write_mean(db, tmp_path / "crop", Frame(crop=10)).values
    expected = (wide[5:15, 15:25].astype(float) + tall[10:20, 5:15]) / 2
    assert np.array_equal(cropped, expected.transpose(2, 0, 1).astype(np.float32))
    resized = write_mean(db, tmp_path / "resize", Frame(resize=16)).values
    small = [
        cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(float) for image in (wide, tall)
    ]
    assert np.array_equal(resized, ((small[0] + small[1]) / 2).transpose(2, 0, 1).astype(np.float32))
    with pytest.raises(InputError, match=r"record 00000000 is 40×20, too small for a crop of 21$"):
        write_mean(db, tmp_path / "m", Frame(crop=21))


def test_sizes_and_channels_that_differ_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = write_lmdb(tmp_path / "sizes", [raw([1, 2]), raw([1, 2]), raw([1, 2], height=2)])
    channels = write_lmdb(tmp_path / "channels", [raw([1, 2]), raw([1, 2], channels=2)])
    for chunk in (32, 1):
        monkeypatch.setattr(mean_file, "CHUNK", chunk)
        with pytest.raises(
            InputError, match=r"record 00000002 is 1×2, those before it are 2×1: .*--per-channel"
        ):
            write_mean(sizes, tmp_path / "m")
        with pytest.raises(InputError, match="record 00000001 has 2 channels, those before it have 1"):
            write_mean(channels, tmp_path / "m", Frame(per_channel=True))
    assert not (tmp_path / "m").exists()


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    db = write_lmdb(tmp_path / "db", [raw([1, 2])])
    (tmp_path / "m").write_text("mine")
    with pytest.raises(InputError, match="--force"):
        write_mean(db, tmp_path / "m")
    write_mean(db, tmp_path / "m", force=True)
    assert read_mean(tmp_path / "m").tolist() == [[[[1.0, 2.0]]]]


@pytest.mark.parametrize(
    "options", [{"crop": 1, "resize": 1}, {"crop": 1, "per_channel": True}, {"crop": 0}, {"resize": 5000}]
)
def test_frames_that_cannot_be(options: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Frame(**options)  # type: ignore[arg-type]


def test_a_mean_picture_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mean_file, "MAX_NUMBERS", 3)
    db = write_lmdb(tmp_path / "db", [raw([1, 2, 3, 4])])
    with pytest.raises(InputError, match="has 4 numbers"):
        write_mean(db, tmp_path / "m")
    write_mean(db, tmp_path / "m", Frame(per_channel=True))
