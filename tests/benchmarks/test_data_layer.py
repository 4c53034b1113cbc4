"""The benchmark of data layers: seconds on cores are counted, workers' too; ratios are those of rounds."""

import json
import subprocess
import sys
from pathlib import Path

import data_layer
import pytest
from data_subject import core_seconds

from tests.dataset.lmdbs import write_lmdb
from tests.dataset.pictures import encoded, picture

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_seconds_on_cores_are_those_of_workers_too() -> None:
    begun = core_seconds()
    busy = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        assert core_seconds() - begun > 0.25
        worker.communicate(b"\n")


def test_ratios_are_medians_of_those_within_rounds() -> None:
    seconds = {
        "bvlc": [(2.0, 2.0), (4.0, 3.0), (3.0, 3.0)],
        "engine": [(1.0, 1.0), (1.0, 2.0), (1.0, 2.0)],
    }
    rows = data_layer.summary(seconds, 500)["subjects"]
    assert rows["bvlc"] == {"images_per_second": 167, "core_seconds_per_1000_images": 6.0}
    assert rows["engine"] == {
        "images_per_second": 500, "core_seconds_per_1000_images": 4.0,
        "times_bvlc": 3.0, "times_bvlc_per_core": 1.5,
    }  # fmt: skip


def test_engines_and_loader_read_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from batchbrew.proto import caffe_pb2 as pb

    records = [
        pb.Datum(data=encoded(".jpg", picture(230, 240, seed)), encoded=True, label=seed) for seed in range(3)
    ]
    write_lmdb(tmp_path / "db", records)
    monkeypatch.setattr(data_layer, "BATCH", 2)
    monkeypatch.setattr(data_layer, "LEAD_IN", 1)
    command = ["data_layer.py", "--lmdb", str(tmp_path / "db"), "--rounds", "1", "--batches", "2", "--json"]
    without = ["--without", "engine", "dataloader_2_workers"]
    monkeypatch.setattr("sys.argv", command + without)
    assert data_layer.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert found["subjects"].keys() == {"bvlc", "engine_1_thread", "dataloader_0_workers"}
    assert found["subjects"]["engine_1_thread"]["times_bvlc_per_core"] > 0
    assert (found["images"], found["batch"]) == (3, 2)
