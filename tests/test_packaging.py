"""The wheel, installed outside of this checkout: what is in it, and that it runs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchbrew import __version__

CHECKOUT = Path(__file__).parents[1]
SOURCES = ("batchbrew", "generators", "tests", "setup.py", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and this Python's other packages."""

    wheel: Path
    bin: Path
    folder: Path  # to work in

    def run(self, program: str, *arguments: object) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(self.bin / program), *map(str, arguments)],
            cwd=self.folder, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def build_wheel(folder: Path) -> Path:
    """Build from a copy, so that the checkout is left as it is."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / "source" / name, ignore=ignored)
        else:
            shutil.copy(CHECKOUT / name, folder / "source" / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist")]
    done = subprocess.run([*command, str(folder / "source")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("packaging")
    wheel = build_wheel(folder)
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        str(environment / "bin/python"),
    ]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    work = folder / "work"
    work.mkdir()
    return Installed(wheel, environment / "bin", work)


def test_what_the_wheel_holds(installed: Installed) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    assert names >= {
        "batchbrew/py.typed",
        "batchbrew/proto/caffe.proto",
        "batchbrew/proto/caffe_pb2.pyi",
        "batchbrew/training/worker.py",
    }
    modules = {str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("batchbrew/**/*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    assert {name.split("/")[0] for name in names} == {"batchbrew", f"batchbrew-{__version__}.dist-info"}


def test_the_installed_package_is_the_wheels(installed: Installed) -> None:
    code = "import batchbrew.training.engine_process as e; print(e.WORKER, e.WORKER.is_file())"
    worker, is_there = installed.run("python", "-c", code).split()
    assert Path(worker).is_relative_to(installed.bin.parent)
    assert is_there == "True"


def test_the_installed_command(installed: Installed, caffe_python: Path) -> None:
    assert installed.run("batchbrew", "--version") == f"batchbrew {__version__}\n"
    installed.run(
        "batchbrew", "generate", "resnet", "--depth", 10, "--classes", 3, "--train", "train_lmdb", "--val", "val_lmdb",
        "--train-images", 64, "--val-images", 8, "--out", "models/tiny",
    )  # fmt: skip
    written = {path.name for path in (installed.folder / "models" / "tiny").iterdir()}
    assert written == {"train_val.prototxt", "deploy.prototxt", "solver.prototxt"}
    text = installed.run("batchbrew", "doctor", "--caffe-python", caffe_python)
    assert str(installed.bin.parent) in text.splitlines()[0]
    assert "All that training needs is there." in text
