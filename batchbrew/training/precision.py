"""Which precision a run may have: on this engine, on this device."""

from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.solver.precision import DEFAULT_PRECISION, PRECISIONS
from batchbrew.training.engines import Engine

CPU_INFO = Path("/proc/cpuinfo")
# What Linux calls a CPU's instructions for bfloat16: Intel's and AMD's, and (the last) ARM's.
FAST_BF16 = ("avx512_bf16", "amx_bf16", "bf16")


def check_precision(name: str, engine: Engine, gpu: int | None) -> list[str]:
    """What to tell about it; raises InputError where the engine or the device has no such precision."""
    if name not in PRECISIONS:
        raise InputError(f"--precision {name} is unknown: there are {', '.join(PRECISIONS)}")
    if name == DEFAULT_PRECISION:
        return []
    if engine.name != "torch":
        raise InputError(
            f"precision {name} needs --engine torch: {engine.name} computes in fp32 (--precision fp32)"
        )
    if name == "tf32" and gpu is None:
        raise InputError(
            "precision tf32 is for GPUs, and this is to run on the CPU: take --precision fp32 or bf16"
        )
    if name == "bf16" and gpu is None and not fast_bf16():
        return [
            "warning: this CPU has no instructions for bf16 (avx512_bf16, amx_bf16): --precision fp32 is faster here"
        ]
    return []


def fast_bf16() -> list[str]:
    """The instructions for bfloat16 that this CPU has, as Linux names them; none where that cannot be found out."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = next(
        (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))),
        [],
    )
    return [name for name in FAST_BF16 if name in flags]
