"""data/elpv.py, on a made-up package that looks like the real one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "data" / "elpv.py"
COUNTS = {"0.0": 1508, "0.3333333333333333": 295, "0.6666666666666666": 106, "1.0": 715}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose import fails, with empty files for pictures and the real numbers of labels."""
    package = tmp_path / "site" / "elpv_dataset"
    images = package / "data" / "images"
    images.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('was imported')")
    lines: list[str] = []
    for probability, count in COUNTS.items():
        for _ in range(count):
            name = f"cell{len(lines) + 1:04d}.png"
            (images / name).touch()
            lines.append(f"images/{name}  {probability}      mono\n")
    (package / "data" / "labels.csv").write_text("".join(lines))
    return package


def run(package: Path, out: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    command: list[str | Path] = [sys.executable, SCRIPT, "--out", out, *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def read(path: Path) -> list[tuple[str, int]]:
    return [(line.split()[0], int(line.split()[1])) for line in path.read_text().splitlines()]


def test_lists_are_stratified_complete_and_the_same_every_time(package: Path, tmp_path: Path) -> None:
    done = run(package, tmp_path / "elpv")
    assert done.returncode == 0, done.stderr
    train, val = read(tmp_path / "elpv" / "train.txt"), read(tmp_path / "elpv" / "val.txt")
    # A fifth of 1508, 295, 106 and 715: 301.6, 59, 21.2, 143.
    assert [sum(label == wanted for _, label in val) for wanted in range(4)] == [302, 59, 21, 143]
    assert [sum(label == wanted for _, label in train) for wanted in range(4)] == [1206, 236, 85, 572]
    assert len({path for path, _ in train + val}) == 2624
    assert dict(train + val)["images/cell1509.png"] == 1
    assert "largest class 57.46%" in done.stdout  # 1206 / 2099
    assert "largest class 57.52%" in done.stdout  # 302 / 525
    assert json.loads((tmp_path / "elpv" / "elpv.json").read_text())["root"] == str(package / "data")
    assert len((tmp_path / "elpv" / "classes.txt").read_text().splitlines()) == 4
    before = {path.name: path.read_bytes() for path in (tmp_path / "elpv").iterdir()}
    assert run(package, tmp_path / "elpv").returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "elpv").iterdir()} == before
    assert run(package, tmp_path / "other", "--seed", "1").returncode == 0
    assert read(tmp_path / "other" / "val.txt") != val


def test_what_is_missing_or_wrong_is_said_in_one_line(package: Path, tmp_path: Path) -> None:
    labels = package / "data" / "labels.csv"
    whole = labels.read_text()
    (package / "data" / "images" / "cell0007.png").unlink()
    complaints = {
        whole: "lacks 1 pictures, images/cell0007.png first",
        whole.replace("0.0 ", "0.5 ", 1): "line 1: probability 0.5",
        whole.replace("0.0 ", "nan ", 1): "line 1: 'images/cell0001.png",
        whole[whole.index("\n") + 1 :]: "names 2623 pictures instead of 2624",
    }
    for text, complaint in complaints.items():
        labels.write_text(text)
        done = run(package, tmp_path / "elpv")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert complaint in done.stderr
    assert not (tmp_path / "elpv").exists()


def test_package_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", SCRIPT, "--out", tmp_path / "elpv"], capture_output=True, text=True, env={}
    )
    assert done.returncode == 1
    assert done.stderr == (
        "elpv: the package elpv_dataset is not installed: run `pip install --no-deps elpv-dataset`\n"
    )
