"""CPU or GPU: a stand-in says what GPUs the engine can use."""

from pathlib import Path

import pytest

from batchbrew.errors import EngineError, InputError
from batchbrew.proto import caffe_pb2
from batchbrew.training import device
from batchbrew.training.device import Device, asked_device, available_device, device_of_solver
from batchbrew.training.engines import Engine, bvlc_engine

ENGINE = Engine("torch", ("never started",), "")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The GPUs that work; there is a driver on this machine."""
    working: list[int] = []
    monkeypatch.setattr(device, "gpu_in_sight", lambda: True)
    monkeypatch.setattr(device, "probe", lambda engine, gpu: {} if gpu in working else "it finds no GPU")
    return working


def solver(text: str) -> caffe_pb2.SolverParameter:
    made = caffe_pb2.SolverParameter()
    for word in text.split():
        name, _, value = word.partition(":")
        setattr(made, name, getattr(made, value) if value.isalpha() else int(value))
    return made


def test_what_is_asked_for_is_done_or_refused(gpus: list[int]) -> None:
    gpus.append(1)
    assert asked_device(ENGINE, gpu=None, cpu=False) is None
    assert asked_device(ENGINE, gpu=None, cpu=True) == Device(None)
    assert asked_device(ENGINE, gpu="1", cpu=False) == Device(1)
    with pytest.raises(EngineError, match="--gpu 0 cannot be used: it finds no GPU"):
        asked_device(ENGINE, gpu="0", cpu=False)
    with pytest.raises(InputError, match="contradict"):
        asked_device(ENGINE, gpu="1", cpu=True)


@pytest.mark.parametrize(
    ("text", "there", "taken", "note"),
    [
        ("", [0], 0, ""),
        ("", [], None, "GPU 0 is not used but the CPU: it finds no GPU"),
        ("solver_mode:GPU", [0, 1], 0, ""),
        ("solver_mode:GPU device_id:1", [0, 1], 1, ""),
        ("solver_mode:GPU device_id:1", [0], None, "GPU 1 is not used but the CPU: it finds no GPU"),
        ("solver_mode:CPU", [0], None, ""),  # whoever writes that means it: Caffe's own default is the GPU
    ],
)
def test_what_a_solver_says(
    gpus: list[int], text: str, there: list[int], taken: int | None, note: str
) -> None:
    gpus += there
    assert device_of_solver(solver(text), ENGINE) == Device(taken, note)


def test_a_machine_without_a_gpu_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To ask takes seconds: the engine, which here cannot even be started, must not be."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(device, "SIGNS_OF_A_GPU", (str(tmp_path / "nvidiactl"),))
    nowhere = bvlc_engine(tmp_path / "nowhere")
    assert device_of_solver(solver(""), nowhere) == Device(None)
    said = device_of_solver(solver("solver_mode:GPU"), nowhere)
    assert (said.gpu, said.note) == (None, "solver_mode: GPU: there is no GPU here, so it is the CPU")
    (tmp_path / "nvidiactl").touch()
    assert "nowhere cannot be run" in available_device(nowhere, 0).note
    (tmp_path / "nvidiactl").unlink()
    (tmp_path / "nvidia-smi").touch(mode=0o755)
    assert "nowhere cannot be run" in available_device(nowhere, 0).note


def test_its_name() -> None:
    assert [str(Device(None)), str(Device(0, "note")), str(Device(3))] == ["the CPU", "GPU 0", "GPU 3"]
