from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.training import precision
from batchbrew.training.engines import Engine
from batchbrew.training.precision import check_precision, fast_bf16

TORCH, BVLC = (Engine(name, ("never started",), "") for name in ("torch", "bvlc"))


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Linux says of the CPU: the test writes it."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "CPU_INFO", path)
    return path


@pytest.mark.parametrize(
    ("line", "instructions"),
    [
        ("flags\t\t: fpu avx512_bf16 vaes", ["avx512_bf16"]),
        ("flags\t\t: avx512_bf16 amx_bf16 amx_tile", ["avx512_bf16", "amx_bf16"]),
        ("Features\t: fp asimd bf16 i8mm", ["bf16"]),
        ("flags\t\t: fpu avx512f avx2 svebf16", []),
        ("model name\t: avx512_bf16", []),
    ],
)
def test_what_a_cpu_has_for_bf16(cpu: Path, line: str, instructions: list[str]) -> None:
    cpu.write_text(f"processor\t: 0\n{line}\npower management:\n")
    assert fast_bf16() == instructions


def test_bf16_where_it_is_slow_is_warned_of(cpu: Path) -> None:
    for content, warned in ((None, True), ("flags : avx2", True), ("flags : avx512_bf16", False)):
        if content is not None:
            cpu.write_text(content)
        notes = check_precision("bf16", TORCH, None)
        assert bool(notes) == warned
        assert all(note.startswith("warning: this CPU has no instructions for bf16") for note in notes)
        assert check_precision("bf16", TORCH, 0) == []


def test_what_an_engine_and_a_device_have(cpu: Path) -> None:
    assert check_precision("fp32", BVLC, 0) == check_precision("fp32", TORCH, None) == []
    assert check_precision("tf32", TORCH, 1) == []
    with pytest.raises(InputError, match="precision tf32 is for GPUs"):
        check_precision("tf32", TORCH, None)
    for name in ("tf32", "bf16"):
        with pytest.raises(InputError, match=f"precision {name} needs --engine torch: bvlc computes in fp32"):
            check_precision(name, BVLC, 0)
    with pytest.raises(InputError, match="--precision FP32 is unknown: there are fp32, tf32, bf16"):
        check_precision("FP32", TORCH, None)
