"""Where and how the engine computes: device, random numbers, and this process's place among several solvers."""

import warnings
from dataclasses import dataclass, field

import torch

from batchbrew.errors import EngineError, InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.precision import DEFAULT_PRECISION, PRECISIONS

TRAIN: int = pb.TRAIN
TEST: int = pb.TEST
BF16 = "bf16"
FIRST_WITH_BF16 = (8, 0)  # compute capability of GPUs that multiply bfloat16: those since 2020


@dataclass
class _State:
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    gpu: int = 0
    precision: str = DEFAULT_PRECISION
    fuses: bool = True
    generator: torch.Generator = field(default_factory=lambda: _seeded(None))
    device_generator: torch.Generator | None = None
    solver_count: int = 1
    solver_rank: int = 0
    multiprocess: bool = False


def _seeded(seed: int | None) -> torch.Generator:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


_state = _State()


def device() -> torch.device:
    """The device on which layers compute."""
    return _state.device


def random_generator() -> torch.Generator:
    """The source of every random number of the engine: a generator of the CPU, seeded by set_random_seed."""
    return _state.generator


def device_generator() -> torch.Generator:
    """A source of random numbers where layers compute: random_generator, or on a GPU one that is seeded from it."""
    state = _state
    if state.device.type == "cpu":
        return state.generator
    if state.device_generator is None or state.device_generator.device != state.device:
        seed = int(torch.randint(2**63 - 1, (), generator=state.generator))
        state.device_generator = torch.Generator(state.device).manual_seed(seed)
    return state.device_generator


def set_mode_cpu() -> None:
    """Compute on the CPU from now on; blobs follow when next used."""
    _state.device = torch.device("cpu")


def set_mode_gpu() -> None:
    """Compute on the GPU chosen by set_device, or the first one. Raises EngineError where there is none that works."""
    if not torch.cuda.is_available():
        built_for = torch.version.cuda
        remedy = (
            "a CUDA build of PyTorch"
            if built_for is None
            else f"a driver for CUDA {built_for}, as PyTorch is"
        )
        raise EngineError(
            f"set_mode_gpu: PyTorch finds no CUDA GPU here; use caffe.set_mode_cpu() or {remedy}"
        )
    if _state.gpu >= torch.cuda.device_count():
        raise EngineError(
            f"set_mode_gpu: there is no GPU {_state.gpu}, only 0 to {torch.cuda.device_count() - 1}"
        )
    chosen = torch.device("cuda", _state.gpu)
    _check_precision(chosen, _state.precision)
    try:
        torch.cuda.set_device(chosen)
        torch.ones(1, device=chosen).add_(1).item()
    except RuntimeError as error:  # PyTorch has no kernels for it, or somebody else has all of it
        reason = str(error).splitlines()[0]
        raise EngineError(
            f"set_mode_gpu: GPU {_state.gpu} cannot be used: {reason}: choose another"
        ) from None
    _state.device = chosen
    _set_tf32()


def set_device(gpu: int) -> None:
    """Choose a GPU, as nvidia-smi numbers them; it is used once set_mode_gpu is called, or at once if it was."""
    if gpu < 0:
        raise InputError(f"set_device: a GPU's number is 0 or more, not {gpu}")
    _state.gpu = gpu
    if _state.device.type == "cuda":
        set_mode_gpu()


def set_precision(name: str) -> None:
    """Choose how exactly convolutions and matrix products compute, for nets made from now on.

    `fp32`: as Caffe does. `tf32`: their factors are rounded to 10 bits, on GPUs that have it; elsewhere this is fp32.
    `bf16`: their factors, and the blobs between layers, are rounded to 7 bits. Weights, gradients of weights,
    statistics of BatchNorm, losses and updates are float32 always. Raises InputError for another name, EngineError
    where the GPU does not have it.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision {name!r} is unknown: there are {', '.join(PRECISIONS)}")
    _check_precision(_state.device, name)
    _state.precision = name
    _set_tf32()


def _check_precision(device: torch.device, name: str) -> None:
    if device.type != "cuda" or name != BF16:
        return
    capability = torch.cuda.get_device_capability(device)
    if capability < FIRST_WITH_BF16:
        raise EngineError(
            f"set_precision: GPU {device.index}, {torch.cuda.get_device_name(device)}, does not compute in bf16: its "
            f"compute capability is {'.'.join(map(str, capability))}, below 8.0: use fp32"
        )


def precision() -> str:
    """What set_precision chose."""
    return _state.precision


def factor_type() -> torch.dtype:
    """The type that convolutions and matrix products of the chosen precision take."""
    return torch.bfloat16 if _state.precision == BF16 else torch.float32


def _set_tf32() -> None:
    allowed = _state.precision != "fp32"
    with warnings.catch_warnings():
        # That PyTorch has other names for these, too, since 2.9: not both may be used.
        warnings.simplefilter("ignore")
        torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cuda.matmul.allow_tf32 = allowed


def set_fusing(on: bool) -> None:
    """Whether layers are computed at once where they can be; the numbers are the same but for rounding."""
    _state.fuses = on


def fuses() -> bool:
    """What set_fusing said."""
    return _state.fuses


def set_random_seed(seed: int) -> None:
    """Make fillers, dropout, crops and mirrors repeatable. Caffe's own streams are other ones.

    A negative seed, as in Caffe's solvers, chooses one by chance.
    """
    _state.generator, _state.device_generator = _seeded(None if seed < 0 else seed), None


def solver_count() -> int:
    """How many solvers train together."""
    return _state.solver_count


def set_solver_count(count: int) -> None:
    """Say how many solvers train together, each in its process."""
    if count < 1:
        raise InputError(f"set_solver_count: at least one solver, not {count}")
    _state.solver_count = count


def solver_rank() -> int:
    """Which of them this process has, from 0."""
    return _state.solver_rank


def set_solver_rank(rank: int) -> None:
    """Say which of the solvers this process has, from 0."""
    if rank < 0:
        raise InputError(f"set_solver_rank: a rank is 0 or more, not {rank}")
    _state.solver_rank = rank


def set_multiprocess(multiprocess: bool) -> None:
    """Say that the solvers are processes; here they always are."""
    _state.multiprocess = multiprocess


def multiprocess() -> bool:
    """What set_multiprocess said."""
    return _state.multiprocess


def is_root_solver() -> bool:
    """Is this the solver that writes logs and snapshots?"""
    return _state.solver_rank == 0
