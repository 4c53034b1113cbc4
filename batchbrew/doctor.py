"""What this machine has of all that BatchBrew can use, and what to do about each thing that is missing."""

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batchbrew import __version__
from batchbrew.errors import EngineError
from batchbrew.training.device import gpu_in_sight
from batchbrew.training.engines import TORCH_HINT, Engine, bvlc_engine, find_caffe_python, torch_engine
from batchbrew.training.precision import fast_bf16
from batchbrew.training.probe import probe

State = Literal["ok", "missing", "broken"]
REQUIRED = (
    "protobuf",
    "pyyaml",
    "numpy",
    "lmdb",
    "opencv-python-headless",
    "pillow",
    "typer",
    "rich",
    "matplotlib",
    "torch",
    "h5py",
    "six",
)
# Other distributions that bring the same module.
ALTERNATIVES = {
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` says what to do where it is not ok, `needed` whether training needs it."""

    what: str
    state: State
    detail: str
    remedy: str = ""
    needed: bool = False


def examine(named_caffe: Path | None = None) -> list[Finding]:
    """Look at everything; takes a few seconds, as each engine is started once."""
    return [
        Finding("BatchBrew", "ok", f"{__version__}, in {Path(__file__).parent}"),
        Finding("Python", "ok", f"{platform.python_version()}, {sys.executable}"),
        *[_library(name) for name in REQUIRED],
        *_torch_engine(),
        _gpu(),
        *_caffe(named_caffe),
        _mmdebstrap(),
    ]


def _library(name: str) -> Finding:
    for candidate in (name, *ALTERNATIVES.get(name, ())):
        try:
            return Finding(name, "ok", importlib.metadata.version(candidate), needed=True)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Finding(name, "missing", "not installed", f"pip install '{name}'", needed=True)


def _torch_engine() -> list[Finding]:
    try:
        engine = torch_engine()
    except EngineError as error:
        return [Finding("engine torch", "missing", str(error), TORCH_HINT, needed=True)]
    found = probe(engine, gpu=None)
    if isinstance(found, str):
        return [Finding("engine torch", "broken", found, TORCH_HINT, needed=True)]
    instructions = fast_bf16()
    bf16 = f"bf16 with {instructions[0]}" if instructions else "no fast bf16 on this CPU"
    detail = f"PyTorch {importlib.metadata.version('torch')}, {found['layers']} layer types; {bf16}"
    remedy = "a PyTorch that was built for it, or train with --cpu"
    return [Finding("engine torch", "ok", detail, needed=True), *_on_gpu(engine, remedy)]


def _on_gpu(engine: Engine, remedy: str) -> list[Finding]:
    """Whether an engine that works computes on the GPU too, where there is one."""
    if not gpu_in_sight():
        return []
    what, found = f"{engine.name} on a GPU", probe(engine, gpu=0)
    if isinstance(found, str):
        return [Finding(what, "missing", found, remedy)]
    return [Finding(what, "ok", "works; NCCL " + ("yes" if found["nccl"] else "no"))]


def _caffe(named: Path | None) -> list[Finding]:
    """Real Caffe, which nobody needs who does not ask for it; one that is `named` is asked for."""
    asked = named is not None
    try:
        caffe = find_caffe_python(named)
    except EngineError as error:
        remedy = f"none is needed but for --engine bvlc and the tests; {error}"
        return [Finding("engine bvlc", "missing", "no Caffe found", str(error) if asked else remedy, asked)]
    real = bvlc_engine(caffe.path)
    engine = probe(real, gpu=None)
    if isinstance(engine, str):
        remedy = "scripts/install_caffe.sh --force, or name another Caffe's Python in BATCHBREW_CAFFE_PYTHON"
        return [Finding("engine bvlc", "broken", f"{caffe.path}: {engine}", remedy, asked)]
    detail = (
        f"Caffe {engine['caffe']}, {engine['layers']} layer types, Python {engine['python']}, "
        f"numpy {engine['numpy']}; {caffe.path} (from {caffe.source})"
    )
    remedy = "train with --cpu, or name a Caffe built for your GPU in BATCHBREW_CAFFE_PYTHON"
    return [Finding("engine bvlc", "ok", detail, needed=asked), *_on_gpu(real, remedy)]


def _gpu() -> Finding:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        detail = "nvidia-smi is not there" if isinstance(error, FileNotFoundError) else f"nvidia-smi: {error}"
        return Finding("NVIDIA GPU", "missing", detail, "none is needed; with one, install NVIDIA's driver")
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip().splitlines()
        return Finding(
            "NVIDIA GPU", "broken", words[0] if words else "nvidia-smi failed", "reinstall NVIDIA's driver"
        )
    return Finding("NVIDIA GPU", "ok", "; ".join(done.stdout.strip().splitlines()))


def _mmdebstrap() -> Finding:
    if path := shutil.which("mmdebstrap"):
        return Finding("mmdebstrap", "ok", path)
    return Finding(
        "mmdebstrap", "missing", "scripts/install_caffe.sh needs it, for --engine bvlc and the tests",
        "sudo apt-get install mmdebstrap, or bring your own Caffe",
    )  # fmt: skip


def report(named_caffe: Path | None = None) -> int:
    """Print what `examine` found; return the exit code: 1 when something that training needs is not there."""
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    findings = examine(named_caffe)
    width = max(len(finding.what) for finding in findings)
    marks = {"ok": "[green]ok     [/]", "missing": "[yellow]missing[/]", "broken": "[red]broken [/]"}
    for finding in findings:
        console.print(f"{marks[finding.state]}  {finding.what:{width}}  ", end="")
        console.print(finding.detail, markup=False)
        if finding.remedy:
            console.print(" " * (width + 11) + "→ " + finding.remedy, markup=False)
    lacking = [finding.what for finding in findings if finding.needed and finding.state != "ok"]
    if lacking:
        console.print(f"\nTraining needs: {', '.join(lacking)}.")
    else:
        console.print("\nAll that training needs is there.")
    return 1 if lacking else 0
