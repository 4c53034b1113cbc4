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
from batchbrew.training.engines import TORCH_HINT, bvlc_engine, find_caffe_python, torch_engine
from batchbrew.training.probe import probe

State = Literal["ok", "missing", "broken"]
REQUIRED = (
    "protobuf",
    "pyyaml",
    "numpy",
    "lmdb",
    "opencv-python-headless",
    "typer",
    "rich",
    "matplotlib",
    "torch",
    "h5py",
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
        *_caffe(named_caffe),
        _torch_engine(),
        _gpu(),
        _mmdebstrap(),
    ]


def _library(name: str) -> Finding:
    for candidate in (name, *ALTERNATIVES.get(name, ())):
        try:
            return Finding(name, "ok", importlib.metadata.version(candidate), needed=True)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Finding(name, "missing", "not installed", f"pip install '{name}'", needed=True)


def _caffe(named: Path | None) -> list[Finding]:
    try:
        caffe = find_caffe_python(named)
    except EngineError as error:
        return [Finding("engine bvlc", "missing", "no Caffe found", str(error), needed=True)]
    real = bvlc_engine(caffe.path)
    engine = probe(real, gpu=None)
    if isinstance(engine, str):
        remedy = "scripts/install_caffe.sh --force, or name another Caffe's Python in BATCHBREW_CAFFE_PYTHON"
        return [Finding("engine bvlc", "broken", f"{caffe.path}: {engine}", remedy, needed=True)]
    detail = (
        f"Caffe {engine['caffe']}, {engine['layers']} layer types, Python {engine['python']}, "
        f"numpy {engine['numpy']}; {caffe.path} (from {caffe.source})"
    )
    on_gpu = probe(real, gpu=0)
    if isinstance(on_gpu, str):
        remedy = "train with --cpu, or name a Caffe built for your GPU in BATCHBREW_CAFFE_PYTHON"
        gpu = Finding("bvlc on a GPU", "missing", on_gpu, remedy)
    else:
        gpu = Finding("bvlc on a GPU", "ok", "works; NCCL " + ("yes" if on_gpu["nccl"] else "no"))
    return [Finding("engine bvlc", "ok", detail, needed=True), gpu]


def _torch_engine() -> Finding:
    try:
        found = probe(torch_engine(), gpu=None)
    except EngineError as error:
        return Finding("engine torch", "missing", str(error), TORCH_HINT)
    if isinstance(found, str):
        return Finding("engine torch", "broken", found, TORCH_HINT)
    version = importlib.metadata.version("torch")
    return Finding("engine torch", "ok", f"PyTorch {version}, {found['layers']} layer types")


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
        "mmdebstrap", "missing", "scripts/install_caffe.sh needs it",
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
