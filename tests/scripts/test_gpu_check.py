"""scripts/gpu_check.sh on the CPU: each part does its work, and one that fails does not stop the others."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

from batchbrew.parity.specimens.specimens import MAKERS

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPT = CHECKOUT / "scripts" / "gpu_check.sh"
DEADLINE_SECONDS = 300


def check(folder: Path, *arguments: str, status: int = 0, python: Path = Path(sys.executable)) -> str:
    done = subprocess.run(
        [SCRIPT, "--cpu", "--out", folder / "found.json", *arguments], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHON": str(python)}, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def found_in(folder: Path) -> Any:
    return json.loads((folder / "found.json").read_text())


def test_each_part_does_its_work(tmp_path: Path) -> None:
    screen = check(tmp_path)
    found = found_in(tmp_path)
    assert found["well"]
    parts = {name: part["found"] for name, part in found["parts"].items()}
    assert set(MAKERS) < set(parts["layer_parity"]["types"])
    assert [row["precision"] for row in parts["trainings"]["rows"]] == ["fp32", "bf16"]
    (net,) = parts["throughput"]["rows"]
    assert set(net["subjects"]) >= {"engine_bf16", "plain_bf16"}
    assert all(each["peak_mb"] > 0 and each["step_ms"] > 0 for each in net["subjects"].values())
    (net,) = parts["from_lmdb"]["rows"]
    assert net["bf16_lmdb_by_synthetic"] > 0
    assert parts["step_profile"]["profiles"]["engine_bf16"]["operators"][0]["share"] > 0
    assert "aten::convolution_backward" in screen
    assert "found.json: all parts are well" in screen
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def python_without_lmdb(folder: Path) -> Path:
    """A Python with all that this one has, lmdb apart; its own modules are a venv's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "bare"], check=True)
    (site,) = (folder / "bare" / "lib").glob("python*/site-packages")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for module in Path(place).iterdir():
            if not module.name.lower().startswith(("lmdb", "__editable__")) and module.suffix != ".pth":
                (site / module.name).symlink_to(module)
    return folder / "bare" / "bin" / "python"


def write_wheel(folder: Path) -> None:
    """An lmdb that can be imported and no more."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "lmdb-9.9.9-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lmdb/__init__.py", "")
        about = "lmdb-9.9.9.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: lmdb\nVersion: 9.9.9\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def test_a_missing_package_comes_from_the_wheels(tmp_path: Path) -> None:
    python = python_without_lmdb(tmp_path)
    (tmp_path / "none").mkdir()
    screen = check(
        tmp_path, "--parts", "machine", "--wheels", str(tmp_path / "none"), status=1, python=python
    )
    assert "gpu_check: installing lmdb>=1.3 from " in screen
    assert "gpu_check: these packages could not be installed (see above)" in screen
    assert (
        found_in(tmp_path)["parts"]["machine"]["found"]["packages"]["lmdb"] is None
    )  # what needs none is run
    write_wheel(tmp_path / "wheels")
    check(tmp_path, "--parts", "machine", "--wheels", str(tmp_path / "wheels"), python=python)
    assert found_in(tmp_path)["parts"]["machine"]["found"]["packages"]["lmdb"] == "9.9.9"


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    assert "gpu_check: --wheels nowhere is no folder" in check(tmp_path, "--wheels", "nowhere", status=1)
    (tmp_path / "none").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "none").chmod(0o755)
    told = check(tmp_path, status=1, python=tmp_path / "none")
    assert "no Python 3.10 or newer with PyTorch was found: name one in PYTHON" in told
