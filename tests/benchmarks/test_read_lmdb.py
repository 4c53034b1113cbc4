"""The benchmark of reading: what it reads is what is there, and its ratios are those of rounds."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import read_lmdb
import read_subject
from asking import running, wall_and_cores
from subjects import Start

from batchbrew.proto import caffe_pb2 as pb
from tests.dataset.lmdbs import write_lmdb
from tests.dataset.pictures import encoded, picture

IMAGES = [encoded(".jpg", picture(40, 30, seed)) for seed in range(5)]


def test_ratios_are_medians_of_those_within_rounds() -> None:
    taken = {
        "random_2_threads": [(1.0, 1.0), (1.0, 2.0), (1.0, 2.0)],
        "dataloader_2_workers": [(2.0, 2.0), (4.0, 3.0), (3.0, 3.0)],
    }
    rows = read_lmdb.summary(taken, 600)["subjects"]
    assert rows["dataloader_2_workers"] == {"images_per_second": 200, "images_per_second_of_a_core": 200}
    assert rows["random_2_threads"] == {
        "images_per_second": 600, "images_per_second_of_a_core": 300, "images_per_second_of_16_cores": 4800,
        "times_dataloader_2_workers": 3.0, "times_dataloader_2_workers_per_core": 1.5,
    }  # fmt: skip


@pytest.fixture
def lmdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    records = [pb.Datum(data=image, encoded=True, label=7 + at) for at, image in enumerate(IMAGES)]
    monkeypatch.setattr(read_lmdb, "BATCH", 2)
    return write_lmdb(tmp_path / "db", records)


def job_of(start: Start) -> dict[str, Any]:
    job: dict[str, Any] = json.loads(start.command[-1])
    return job


def test_the_same_images_from_the_lmdb_and_from_files(lmdb: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    assert read_lmdb.write_files(lmdb, files) == sum(map(len, IMAGES))
    assert (files / "9-000002.jpg").read_bytes() == IMAGES[2]
    assert read_lmdb.described(lmdb, 5000, 24) == {
        "batch": 2,
        "crop": 24,
        "images": 5,
        "kilobytes_per_image": 1.0,
    }
    starts = read_lmdb.starts(lmdb, files, 24)
    read = read_subject.lmdb_reading(job_of(starts["in_order_2_threads"]))
    labels = []
    for _ in range(3):
        pixels, label = cast(list[Any], read())
        assert pixels.shape == (2, 3, 24, 24)
        labels += label.tensor().tolist()
    assert labels == [7, 8, 9, 10, 11, 7]
    crops, _ = cast(list[Any], read_subject.loader_reading(job_of(starts["dataloader_1_workers"]))())
    assert crops.shape == (2, 24, 24, 3)


def test_processes_are_asked_and_end(lmdb: Path, tmp_path: Path) -> None:
    starts = read_lmdb.starts(lmdb, tmp_path, 24)
    with running({"random_2_processes": starts["random_2_processes"]}) as asked:
        taken = wall_and_cores(asked, rounds=1, steps=3, lead_in=1)
    assert len(taken["random_2_processes"]) == 1
    assert min(taken["random_2_processes"][0]) >= 0
