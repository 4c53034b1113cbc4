"""The probe outlives what it computes: a stand-in for Caffe that crashes, aborts, raises, or works."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchbrew.parity.case import Case, Pass, write_case
from batchbrew.parity.engines import ProbedEngine, run_probe
from batchbrew.parity.results import Result, read_result
from batchbrew.proto import caffe_pb2 as pb

CAFFE = """
import os, signal, sys
import numpy as np

DEVICE = ["cpu", os.getpid()]


def set_device(gpu):
    DEVICE[0] = "gpu %d chosen" % gpu


def set_mode_gpu():
    assert os.getpid() != DEVICE[1], "a process that has begun to use a GPU cannot be forked"
    DEVICE[0] = DEVICE[0].replace("chosen", "used")


def set_precision(name):
    DEVICE[0] += ", " + name


def set_fusing(on):
    DEVICE[0] += ", fuses" if on else ", layer by layer"


class InputError(Exception):
    pass


class Blob:
    def __init__(self):
        self.reshape(2)

    def reshape(self, *shape):
        self.shape = shape
        self.data, self.diff = np.zeros(shape, np.float32), np.zeros(shape, np.float32)


class Net:
    def __init__(self, path, phase):
        text = open(path).read()
        if "segfault" in text:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "abort" in text:
            os.write(2, b"I1122 10:11:12.123456  4242 net.cpp:1] hello\\n")
            os.write(2, b"F1122 10:11:12.123456  4242 net.cpp:2] Check failed: 1 == 2\\n")
            os.abort()
        if "refuse" in text:
            raise InputError("layer quiet: refused")
        self.blobs, self.params, self.layers, self.top_names = {"x": Blob()}, {"l": [Blob()]}, [], {}
        self._layer_names, self._blob_names, self.inputs, self.outputs = [], ["x"], [DEVICE[0]], ["x"]
        self.blob_loss_weights, self.cleared = {"x": 0.5}, 0

    def clear_param_diffs(self):
        self.params["l"][0].diff[...] = 0

    def _forward(self, start, end):
        self.blobs["x"].data[...] += self.params["l"][0].data[0]
        return float(self.blobs["x"].data.sum())

    def backward(self):
        self.blobs["x"].diff[...] *= 10
        self.params["l"][0].diff[...] += 1


def set_random_seed(seed):
    pass


def layer_type_list():
    return []
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> ProbedEngine:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "caffe.py").write_text(CAFFE)
    return ProbedEngine("stand_in", [sys.executable], 10, {"PYTHONPATH": str(tmp_path / "modules")})


def case(name: str, *passes: Pass) -> Case:
    value = np.array([7, 8], np.float32)
    return Case("stand-in", 1, 0, pb.NetParameter(name=name), pb.TEST, passes, {("l", 0): value})


def run(engine: ProbedEngine, folder: Path, *cases: Case) -> list[Result]:
    folders = [folder / "cases" / f"{index}" for index in range(len(cases))]
    for each, path in zip(cases, folders, strict=True):
        write_case(each, path)
    run_probe([engine], folder / "cases")
    return [read_result(path, engine.name) for path in folders]


@pytest.mark.parametrize("cases_a_process", [1, 10])
def test_each_end_is_told_and_the_rest_is_computed(
    stand_in: ProbedEngine, tmp_path: Path, cases_a_process: int
) -> None:
    engine = ProbedEngine("stand_in", stand_in.command, cases_a_process, stand_in.environment)
    names = ["fine", "segfault", "abort", "refuse", "fine"]
    fine, crashed, aborted, refused, last = run(engine, tmp_path, *map(case, names))
    assert fine.refused is last.refused is None
    assert crashed.refused is not None
    assert aborted.refused is not None
    assert refused.refused is not None
    assert crashed.refused.crashed
    assert str(crashed.refused) == "crash at build: signal 11"
    assert not aborted.refused.crashed
    assert str(aborted.refused) == "signal 6 at build: net.cpp:2] Check failed: 1 == 2"
    assert refused.refused.kinds[:2] == ["InputError", "Exception"]
    assert str(refused.refused) == "InputError at build: layer quiet: refused"


def test_what_is_written_down(stand_in: ProbedEngine, tmp_path: Path) -> None:
    one, three = np.array([1, 2], np.float32), np.array([1, 2, 3], np.float32)
    passes = [
        Pass({"x": one}, {"x": one}),
        Pass({"x": three}, clear=False),
        Pass(clear=True),
        Pass(backward=False),
    ]
    (result,) = run(stand_in, tmp_path, case("fine", *passes))
    arrays = {key: array.tolist() for key, array in result.arrays.items()}
    assert arrays["0|data|x"] == [8, 9]  # 7 is added, the parameter's first number
    assert arrays["0|loss"] == 17
    assert arrays["0|parameter|l|0"] == [7, 8]
    assert arrays["0|diff|x"] == [10, 20]
    assert arrays["0|gradient|l|0"] == [1, 1]
    assert arrays["1|data|x"] == [8, 9, 10]
    assert arrays["1|gradient|l|0"] == [2, 2]  # not cleared
    assert arrays["2|gradient|l|0"] == [1, 1]
    assert not any(key.startswith("3|diff") for key in arrays)
    assert result.net is not None
    assert result.net["blobs"] == ["x"]
    assert result.net["parameters"] == [["l", [[2]]]]
    assert result.net["loss_weights"] == {"x": 0.5}


@pytest.mark.parametrize(("gpu", "used"), [(None, "cpu"), (0, "gpu 0 used"), (3, "gpu 3 used")])
def test_the_device(stand_in: ProbedEngine, tmp_path: Path, gpu: int | None, used: str) -> None:
    (result,) = run(replace(stand_in, gpu=gpu), tmp_path, case("fine", Pass()))
    assert result.net is not None
    assert result.net["inputs"] == [used]


@pytest.mark.parametrize(
    ("fuses", "told"), [(None, "cpu, bf16"), (True, "cpu, bf16, fuses"), (False, "cpu, bf16, layer by layer")]
)
def test_what_is_set(stand_in: ProbedEngine, tmp_path: Path, fuses: bool | None, told: str) -> None:
    (result,) = run(replace(stand_in, precision="bf16", fuses=fuses), tmp_path, case("fine", Pass()))
    assert result.net is not None
    assert result.net["inputs"] == [told]
