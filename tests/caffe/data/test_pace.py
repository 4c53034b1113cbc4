"""How long the net waited, as numbers; when that is told, and what is told."""

import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from batchbrew import caffe
from batchbrew.caffe.data.pace import Pace, PaceWarning, Waiting, remark
from batchbrew.caffe.data.staging import Taken
from batchbrew.caffe.solving.solvers import SGDSolver

BUSY, AWAITED = [Taken(0.5, 0.45)], [Taken(0.5, 0.02)]


def waiting(
    computing: Sequence[float], waited: float, name: str = "data", made: list[Taken] = BUSY, threads: int = 2
) -> Waiting:
    """A layer of batches of 32 images; a new batch comes after each of `computing` and another `waited` seconds."""
    layer = Waiting(name, made, threads)
    clock = 100.0
    layer.took(clock - 5, clock, 32)  # the first batch, of which nothing follows
    for seconds in computing:
        layer.took(clock + seconds, clock + seconds + waited, 32)
        clock += seconds + waited
    return layer


def test_pace_by_hand() -> None:
    layer = waiting([0.5] * 9 + [60.0, 0.5], 1.5)  # 60: a test between two batches
    pace = layer.lap()
    assert pace == Pace(32, pytest.approx(0.5), pytest.approx(1.5))  # type: ignore[arg-type]
    assert pace.share == pytest.approx(0.75)
    assert str(pace) == "data 16 images/s, net 64 images/s"
    assert layer.lap() is None  # begins anew


def test_a_short_while_is_no_pace() -> None:
    assert waiting([1.0] * 9, 1.0).lap() is None
    assert waiting([0.01] * 100, 0.01).lap() is None
    assert waiting([0.01] * 700, 0.01).lap() is not None
    assert Waiting("data", [], 1).lap() is None


def test_what_is_told() -> None:
    pace = Pace(256, 256 / 1900, 256 / 410 - 256 / 1900)
    busy = remark(pace, waiting([], 0, threads=3))
    assert busy.startswith(
        f"{pace}: the net waits for layer data 78% of the time; its threads (3) decode all"
    )
    assert str(pace) == "data 410 images/s, net 1,900 images/s"
    assert "BATCHBREW_DATA_THREADS" in busy
    assert "copy the data set to a local disk" in remark(pace, waiting([], 0, made=AWAITED))


def test_a_warning_in_caffes_format_of_the_slowest_and_not_all_the_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    caffe.init_log(0)
    now = 50.0
    warning = PaceWarning(lambda: now)

    def told(*layers: Waiting) -> str:
        warning.look(layers)
        return capsys.readouterr().err

    assert told() == ""
    assert told(waiting([1.0] * 20, 0.1)) == ""  # 9 % of the time
    line = told(waiting([1.0] * 20, 0.5, "first"), waiting([0.5] * 20, 1.0, "second"))
    assert re.match(r"W\d{4} [\d:.]+ +\d+ blocking_queue\.cpp:49\] Waiting for data: data 21 images/s", line)
    assert line.count("\n") == 1 and "layer second 67% of the time" in line
    now += 299
    assert told(waiting([0.5] * 20, 1.0)) == ""
    now += 1
    assert "67%" in told(waiting([0.5] * 20, 1.0))


SOLVER = 'net: "net" base_lr: 0 momentum: 0.9 lr_policy: "fixed" display: 1 max_iter: 30 snapshot_prefix: "s"'
NET = """
layer { name: "images" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "rows" type: "HDF5Data" top: "data" hdf5_data_param { source: "list" batch_size: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "fc" top: "loss" }
"""


def test_solvers_look_at_their_data_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    caffe.init_log(0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("batchbrew.caffe.data.pace.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("batchbrew.caffe.data.pace.LEAST_SHARE", 0.0)
    with h5py.File("rows.h5", "w") as file:
        file["data"] = np.ones((4, 3), np.float32)
    Path("list").write_text("rows.h5\n")
    Path("net").write_text(NET)
    Path("solver").write_text(SOLVER)
    SGDSolver("solver").step(30)
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("W")]
    assert len(warnings) == 1
    assert "Waiting for data: data " in warnings[0] and "for layer rows " in warnings[0]
