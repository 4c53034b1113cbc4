"""scripts/setup.sh in a checkout whose virtual environment pretends: what is installed, and when real Caffe is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Its Python notes what is asked of it, and install_caffe.sh that it was called."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / "setup.sh", tmp_path / "scripts")
    for name in ("setup.py", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    programs = {
        ".venv/bin/python": f'#!/bin/sh\n[ "$1" = -c ] || echo "$*" >>{tmp_path}/calls\n',
        "scripts/install_caffe.sh": f"#!/bin/sh\necho caffe >>{tmp_path}/calls\n",
    }
    for name, text in programs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return tmp_path


def setup(checkout: Path, *arguments: str, status: int = 0, **environment: str) -> tuple[list[str], str]:
    """What was installed (of pip's command line, its last word), and what was said."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("BATCHBREW")}
    done = subprocess.run(
        [checkout / "scripts" / "setup.sh", *arguments], capture_output=True, text=True,
        env={**variables, "PYTHON": sys.executable, **environment},
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    calls = checkout / "calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return [line.split()[-1] for line in lines], done.stdout + done.stderr


def test_real_caffe_comes_for_the_tests_and_for_who_asks(checkout: Path) -> None:
    assert setup(checkout)[0] == ["."]
    assert setup(checkout)[0] == []  # all is there
    assert setup(checkout, "--caffe")[0] == ["caffe"]
    assert setup(checkout, "--tests")[0] == [".[dev]", "caffe"]
    assert setup(checkout, "--tests", BATCHBREW_CAFFE_PYTHON="python")[0] == []
    (checkout / "constraints.txt").write_text("torch==3")
    assert setup(checkout)[0] == ["."]


def test_options(checkout: Path) -> None:
    installed, said = setup(checkout, "--help")
    assert installed == []
    assert "scripts/setup.sh --caffe" in said and "set -euo" not in said
    installed, said = setup(checkout, "--test", status=1)
    assert installed == []
    assert "setup: unknown option --test (there is --caffe, --tests and --help)" in said
