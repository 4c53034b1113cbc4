import os
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from batchbrew import __version__, doctor
from batchbrew.doctor import Finding, examine, report


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH on which there is neither nvidia-smi nor mmdebstrap."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()


def test_a_healthy_environment(caffe_python: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(caffe_python) == 0
    text = capsys.readouterr().out
    lines = {line[9:].split("  ")[0]: line for line in text.splitlines() if line.startswith("ok ")}
    assert f"{__version__}, in " in lines["BatchBrew"]
    assert sys.executable in lines["Python"]
    assert {*doctor.REQUIRED, "engine bvlc"} <= set(lines)
    assert "layer types" in lines["engine bvlc"]
    assert f"{caffe_python} (from --caffe-python)" in lines["engine bvlc"]
    assert "layer types" in lines["engine torch"]
    assert text.endswith("\nAll that training needs is there.\n")


@pytest.mark.usefixtures("no_gpu")
def test_no_caffe_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCHBREW_CAFFE_PYTHON", str(tmp_path / "nowhere"))
    found = by_name(examine())
    assert (found["engine bvlc"].state, found["engine bvlc"].needed) == ("missing", True)
    assert (
        f"{tmp_path}/nowhere (from BATCHBREW_CAFFE_PYTHON) is not an executable"
        in found["engine bvlc"].remedy
    )
    assert "scripts/install_caffe.sh" in found["engine bvlc"].remedy
    assert "bvlc on a GPU" not in found
    assert (found["NVIDIA GPU"].state, found["NVIDIA GPU"].detail) == ("missing", "nvidia-smi is not there")
    assert found["mmdebstrap"].remedy.startswith("sudo apt-get install mmdebstrap")
    assert report() == 1
    text = capsys.readouterr().out
    assert "missing  engine bvlc" in text
    assert f"→ {found['engine bvlc'].remedy}" in text
    assert text.endswith("\nTraining needs: engine bvlc.\n")


@pytest.mark.usefixtures("no_gpu")
def test_a_python_without_caffe() -> None:
    bvlc = by_name(examine(Path(sys.executable)))["engine bvlc"]
    assert bvlc.state == "broken"
    assert "pycaffe cannot be imported: No module named 'caffe'" in bvlc.detail
    assert "BATCHBREW_CAFFE_PYTHON" in bvlc.remedy
    assert report(Path(sys.executable)) == 1


@pytest.mark.usefixtures("no_gpu")
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
