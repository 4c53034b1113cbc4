"""What the data cost: ratios, the log of `caffe train`, LMDBs of made-up pictures."""

from pathlib import Path

import caffe_train
import cv2
import numpy as np
import pytest
from benchmark_nets import NETS
from end_to_end import for_page
from lmdb_times import row_of
from made_up_lmdb import colour, made_up_lmdb, picture

from batchbrew.dataset.reader import LmdbReader
from batchbrew.errors import EngineError

LOG = """\
I1231 23:59:58.500000   123 solver.cpp:239] Iteration 0 (0 iter/s, 0.5s/10 iters), loss = 2.3
I1231 23:59:58.500100   123 solver.cpp:258]     Train net output #0: loss = 2.3 (* 1 = 2.3 loss)
I1231 23:59:59.000000   123 sgd_solver.cpp:112] Iteration 10, lr = 0.1
I1231 23:59:59.750000   123 solver.cpp:239] Iteration 10 (8 iter/s, 1.25s/10 iters), loss = -nan
"""


def test_seconds_in_the_log_of_caffe_train() -> None:
    assert caffe_train.seconds_between(LOG.splitlines(), 0, 10) == 1.25
    with pytest.raises(EngineError, match="no loss of iteration 20"):
        caffe_train.seconds_between(LOG.splitlines(), 0, 20)


def test_ratios_of_speeds() -> None:
    seconds = {
        "engine_fp32_lmdb": [2.0, 4.0, 5.0],
        "engine_fp32": [1.0, 3.0, 4.5],
        "caffe_train": [4.0, 8.0, 9.0],
    }
    row = row_of(NETS["resnet10"], ["fp32"], seconds)
    assert row["fp32_lmdb_by_synthetic"] == 0.75  # 1/2, 3/4, 4.5/5
    assert row["fp32_times_caffe_train"] == 2.0  # 4/2, 8/4, 9/5
    assert row["subjects"]["engine_fp32_lmdb"] == {"step_ms": 4000.0, "images_per_second": 4.0}


def test_table() -> None:
    seconds = {"engine_bf16_lmdb": [1.0], "engine_bf16": [0.9]}
    text = for_page({"rows": [row_of(NETS["resnet10"], ["bf16"], seconds)], "gpu": "H100"})
    assert "| ResNet-10, 16 | bf16 | 16.0 | 17.8 |  | 90.0% |  |" in text


def test_made_up_lmdb(tmp_path: Path) -> None:
    path = made_up_lmdb(tmp_path / "db", images=6, classes=3, short_side=40)
    with LmdbReader(path) as reader:
        records = list(reader.records())
    assert sorted(record.label for record in records) == [0, 0, 1, 1, 2, 2]
    assert all(min(record.image.shape[:2]) == 40 for record in records)
    assert len({record.image.shape for record in records}) > 1


def test_the_colour_tells_the_label() -> None:
    means = [picture(1, index, index % 4, 4, 64).mean(axis=(0, 1)) - 128 for index in range(40)]
    towards = np.array([colour(label, 4) for label in range(4)])
    guessed = [int((towards @ mean).argmax()) for mean in means]
    assert sum(guess == index % 4 for index, guess in enumerate(guessed)) > 30


def test_photographs_are_as_large() -> None:
    made = [
        cv2.imencode(".jpg", picture(1, index, 0, 10, 256), (cv2.IMWRITE_JPEG_QUALITY, 95))[1]
        for index in range(4)
    ]
    assert 25_000 < np.mean([len(each) for each in made]) < 60_000
