"""On which device a run or a test computes: as asked for, as the solver says, or what there is."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import EngineError, InputError
from batchbrew.proto import caffe_pb2
from batchbrew.training.engines import Engine
from batchbrew.training.probe import probe

MAX_DEVICE = 2**31 - 1  # Caffe's device_id is an int32
# What a machine with a GPU has, its driver's tool or device: NVIDIA's, that of Windows' Linux, AMD's.
SIGNS_OF_A_GPU = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True)
class Device:
    """A GPU's number, or None for the CPU; and what to tell about it, if anything."""

    gpu: int | None
    note: str = ""

    def __str__(self) -> str:
        return "the CPU" if self.gpu is None else f"GPU {self.gpu}"


def asked_device(engine: Engine, *, gpu: str | None, cpu: bool) -> Device | None:
    """What --gpu and --cpu say; None where neither is given.

    Raises InputError for what cannot be meant, EngineError for a GPU that the engine cannot use.
    """
    if cpu and gpu is not None:
        raise InputError("--cpu and --gpu contradict each other: give one of them")
    if cpu:
        return Device(None)
    if gpu is None:
        return None
    if not (gpu.isascii() and gpu.isdigit()):
        raise InputError(f"--gpu {gpu}: one GPU at a time is supported: give its number, 0 for the first")
    if int(gpu) > MAX_DEVICE:
        raise InputError(f"--gpu {gpu}: there is no such GPU: give its number, 0 for the first")
    if (reason := why_not(engine, int(gpu))) is not None:
        raise EngineError(f"--gpu {gpu} cannot be used: {reason}")
    return Device(int(gpu))


def device_of_solver(solver: caffe_pb2.SolverParameter, engine: Engine) -> Device:
    """Where nothing was asked for: the CPU if `solver_mode: CPU` is written, else the GPU `device_id`, where it works.

    `solver_mode: GPU` is no more than a wish, as generators write it for whatever machine: the note says so where it
    is not granted.
    """
    wished = solver.HasField("solver_mode")
    if wished and solver.solver_mode == solver.CPU:
        return Device(None)
    return available_device(engine, solver.device_id, wish="solver_mode: GPU" if wished else "")


def available_device(engine: Engine, gpu: int, *, wish: str = "") -> Device:
    """The GPU if there is one and the engine can use it, else the CPU, with a note if the GPU was a `wish`."""
    if not gpu_in_sight():
        return Device(None, f"{wish}: there is no GPU here, so it is the CPU" if wish else "")
    if (reason := why_not(engine, gpu)) is None:
        return Device(gpu)
    return Device(None, f"GPU {gpu} is not used but the CPU: {reason}")


def why_not(engine: Engine, gpu: int) -> str | None:
    """Why the engine cannot compute on this GPU, found out by starting it there; None if it can."""
    found = probe(engine, gpu=gpu)
    return found if isinstance(found, str) else None


def gpu_in_sight() -> bool:
    """Whether it is worth the seconds to ask an engine for a GPU."""
    return shutil.which("nvidia-smi") is not None or any(Path(sign).exists() for sign in SIGNS_OF_A_GPU)
