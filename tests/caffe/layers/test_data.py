"""Data: LMDBs of every kind, as real Caffe reads them."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from batchbrew.caffe import mode
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import write_binary
from batchbrew.proto.blobs import array_blob
from tests.caffe.layers.engines import Blobs, Case, in_ours, in_real_caffe
from tests.dataset.lmdbs import raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture

RECORDS = 7  # batches of 3 and 4 wrap around in the middle


def data_layer(source: Path, batch: int, transform: str = "", tops: str = 'top: "data" top: "label"') -> str:
    return (
        f'layer {{ name: "data" type: "Data" {tops} transform_param {{ {transform} }} '
        f'data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }} }}'
    )


def raw(channels: int, height: int, width: int, seed: int) -> pb.Datum:
    pixels = np.random.default_rng(seed).integers(0, 256, channels * height * width, np.uint8)
    return raw_datum(channels, height, width, pixels.tobytes(), label=seed * 3)


def floats(seed: int) -> pb.Datum:
    numbers = np.random.default_rng(seed).normal(0, 100, 2 * 9 * 8).astype(np.float32)
    return pb.Datum(channels=2, height=9, width=8, float_data=numbers, label=seed)


def coded(extension: str, seed: int, grey: bool = False) -> pb.Datum:
    image = picture(40, 30, seed)
    image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if grey else image
    return pb.Datum(data=encoded(extension, image), encoded=True, label=seed)


def with_alpha(seed: int) -> pb.Datum:
    image = cv2.cvtColor(picture(20, 10, seed), cv2.COLOR_BGR2BGRA)
    return pb.Datum(data=encoded(".png", image), encoded=True, label=-seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    kinds = {
        "raw": [raw(3, 10, 12, seed) for seed in range(RECORDS)],
        "raw_grey": [raw(1, 6, 5, seed) for seed in range(RECORDS)],
        "floats": [floats(seed) for seed in range(RECORDS)],
        "jpeg": [coded(".jpg", seed) for seed in range(RECORDS)],
        "png": [coded(".png", seed) for seed in range(RECORDS)],
        "grey_jpeg": [coded(".jpg", seed, grey=True) for seed in range(RECORDS)],
        "grey_or_not": [coded(".png", seed, grey=seed % 2 == 0) for seed in range(RECORDS)],
        "alpha": [with_alpha(seed) for seed in range(RECORDS)],
        "sizes": [raw(3, 8 + seed, 14 - seed, seed) for seed in range(5)],
    }
    for name, values in kinds.items():
        write_lmdb(folder / name, values)
    for name, shape in (("mean", (1, 3, 10, 12)), ("jpeg_mean", (1, 3, 30, 40))):
        mean = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
        write_binary(folder / f"{name}.binaryproto", array_blob(mean))
    return folder


def cases(folder: Path) -> list[Case]:
    mean = f'mean_file: "{folder / "mean.binaryproto"}"'
    jpeg_mean = f'mean_file: "{folder / "jpeg_mean.binaryproto"}"'
    transforms = {
        "raw": ["", "scale: 0.00390625", "crop_size: 7", "mean_value: 104.5", mean, f"{mean} crop_size: 5 scale: 0.017",
                "mean_value: 104 mean_value: 117.25 mean_value: 123 scale: 0.3 crop_size: 10", "force_gray: true"],
        "raw_grey": ["", "force_color: true", "mean_value: 3.7 crop_size: 4"],
        "floats": ["", "scale: 1.7 mean_value: 0.1 mean_value: 0.2", "crop_size: 5"],
        "jpeg": ["", "force_gray: true", "crop_size: 27", f"{jpeg_mean} crop_size: 30 scale: 0.1"],
        "png": ["", "force_color: true crop_size: 1"],
        "grey_jpeg": ["", "force_color: true"],
        "grey_or_not": ["force_color: true", "force_gray: true"],
        "alpha": ["", "force_color: true"],
        "sizes": ["crop_size: 8"],
    }  # fmt: skip
    listed = [
        Case(f"{name}_{index}", data_layer(folder / name, 3 + index % 2, transform))
        for name, each in transforms.items()
        for index, transform in enumerate(each)
    ]
    one = data_layer(folder / "sizes", 1)
    listed.append(
        Case("sizes_one_by_one", one + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }', passes=7)
    )
    listed.append(Case("no_labels", data_layer(folder / "raw", 2, tops='top: "data"'), passes=5))
    listed.append(Case("train", data_layer(folder / "raw", 2), passes=5, phase=pb.TRAIN))
    listed += [
        Case(f"rank_{rank}_{phase}", data_layer(folder / "raw", 3), 8, phase, 3, rank)
        for rank in (0, 2)
        for phase in (pb.TRAIN, pb.TEST)
    ]
    return listed


@pytest.fixture(scope="module")
def real(caffe_python: Path, folder: Path) -> dict[str, Blobs]:
    return in_real_caffe(caffe_python, cases(folder), folder)


@pytest.fixture
def solvers() -> Iterator[None]:
    yield
    mode.set_solver_count(1)
    mode.set_solver_rank(0)


def test_every_kind_of_record_and_transform_is_exactly_caffes(
    real: dict[str, Blobs], folder: Path, solvers: None
) -> None:
    for case in cases(folder):
        mode.set_solver_count(case.solvers)
        mode.set_solver_rank(case.rank)
        ours = in_ours(case, folder)
        assert ours.keys() == real[case.name].keys()
        for blob, expected in real[case.name].items():
            assert ours[blob].shape == expected.shape, (case.name, blob)
            assert np.array_equal(ours[blob], expected), (
                case.name,
                blob,
                np.abs(ours[blob] - expected).max(),
            )
