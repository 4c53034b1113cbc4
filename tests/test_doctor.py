import os
import re
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from batchbrew import __version__, doctor
from batchbrew.doctor import Finding, examine, report
from batchbrew.training import device, precision
from batchbrew.training.engines import Engine


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_all_that_is_installed_with_us_is_looked_for() -> None:
    setup = (Path(__file__).parents[1] / "setup.py").read_text()
    needed = re.search(r"install_requires=\[(.*?)\n    \]", setup, re.DOTALL)
    assert needed is not None
    names = re.findall(r'^ *"([\w-]+)', needed[1], re.MULTILINE)
    assert set(doctor.REQUIRED) == set(names)


@pytest.fixture
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH on which there is neither nvidia-smi nor mmdebstrap, and no device."""
    monkeypatch.setattr(device, "SIGNS_OF_A_GPU", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()


def test_a_healthy_environment(
    caffe_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags : amx_bf16\n")
    assert report(caffe_python) == 0
    text = capsys.readouterr().out
    lines = {line[9:].split("  ")[0]: line for line in text.splitlines() if line.startswith("ok ")}
    assert f"{__version__}, in " in lines["BatchBrew"]
    assert sys.executable in lines["Python"]
    assert {*doctor.REQUIRED, "engine bvlc"} <= set(lines)
    assert "layer types" in lines["engine bvlc"]
    assert f"{caffe_python} (from --caffe-python)" in lines["engine bvlc"]
    assert "layer types; bf16 with amx_bf16" in lines["engine torch"]
    assert text.endswith("\nAll that training needs is there.\n")


@pytest.mark.usefixtures("no_gpu")
def test_no_caffe_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCHBREW_CAFFE_PYTHON", str(tmp_path / "nowhere"))
    assert report() == 0
    text = capsys.readouterr().out
    assert "missing  engine bvlc" in text
    remedy = text.partition("engine bvlc")[2].splitlines()[1]
    assert "→ none is needed but for --engine bvlc and the tests; " in remedy
    assert f"{tmp_path}/nowhere (from BATCHBREW_CAFFE_PYTHON) is not an executable" in remedy
    assert "scripts/install_caffe.sh" in remedy
    assert "on a GPU" not in text
    assert "missing  NVIDIA GPU              nvidia-smi is not there" in text
    assert "→ sudo apt-get install mmdebstrap" in text
    assert text.endswith("\nAll that training needs is there.\n")


@pytest.mark.usefixtures("no_gpu")
def test_without_pytorch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert report(Path("/nowhere")) == 1
    text = capsys.readouterr().out
    assert "missing  engine torch            --engine torch needs torch and h5py" in text
    assert "→ pip install torch h5py, or use --engine bvlc" in text
    assert text.endswith("\nTraining needs: engine torch, engine bvlc.\n")  # the latter as it was named


def test_a_gpu_that_engines_can_use_and_one_that_they_cannot(
    caffe_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(engine: Engine, *, gpu: int | None) -> dict[str, Any] | str:
        if engine.name == "bvlc" and gpu is not None:
            return "Cannot use GPU in CPU-only Caffe"
        return {"caffe": "1.0", "layers": 61, "python": "3.9", "numpy": "1", "nccl": engine.name == "torch"}

    monkeypatch.setattr(doctor, "probe", answer)
    monkeypatch.setattr(doctor, "gpu_in_sight", lambda: True)
    found = by_name(examine(caffe_python))
    torch, bvlc = found["torch on a GPU"], found["bvlc on a GPU"]
    assert (torch.state, torch.detail, torch.needed) == ("ok", "works; NCCL yes", False)
    assert (bvlc.state, bvlc.detail, bvlc.needed) == ("missing", "Cannot use GPU in CPU-only Caffe", False)
    assert "a Caffe built for your GPU" in bvlc.remedy


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The torch engine, whose start takes seconds, is passed over."""
    monkeypatch.setattr(doctor, "_torch_engine", lambda: [])


@pytest.mark.usefixtures("no_gpu", "no_torch")
def test_a_python_without_caffe() -> None:
    bvlc = by_name(examine(Path(sys.executable)))["engine bvlc"]
    assert bvlc.state == "broken"
    assert "pycaffe cannot be imported: No module named 'caffe'" in bvlc.detail
    assert "BATCHBREW_CAFFE_PYTHON" in bvlc.remedy
    assert report(Path(sys.executable)) == 1


@pytest.mark.usefixtures("no_gpu", "no_torch")
def test_an_interpreter_that_is_none(tmp_path: Path) -> None:
    for text, detail in (("", "Exec format error"), ("#!/bin/sh\nexit 0\n", "it ended without a word")):
        bvlc = by_name(examine(executable(tmp_path / "python", text)))["engine bvlc"]
        assert bvlc.state == "broken"
        assert detail in bvlc.detail


def test_gpus_as_nvidia_smi_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/nowhere")
    cases = (
        (
            "echo 'NVIDIA H100, 81559 MiB, 560.1'; echo 'NVIDIA A100, 40960 MiB, 560.1'",
            "ok",
            "560.1; NVIDIA A100",
        ),
        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", "broken", "Failed to"),
        ("exit 9", "broken", "nvidia-smi failed"),
    )
    for code, state, detail in cases:
        executable(tmp_path / "nvidia-smi", f"#!/bin/sh\n{code}\n")
        finding = doctor._gpu()
        assert (finding.state, finding.needed) == (state, False)
        assert detail in finding.detail


def test_a_library_that_is_missing_and_one_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"opencv-contrib-python": "4.9.0"}

    def version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr("importlib.metadata.version", version)
    assert doctor._library("opencv-python-headless").state == "ok"
    missing = doctor._library("lmdb")
    assert (missing.state, missing.needed, missing.remedy) == ("missing", True, "pip install 'lmdb'")
