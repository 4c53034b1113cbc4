"""`batchbrew parity` from its options to its files; real Caffe stands in for ours."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from batchbrew.cli import app
from batchbrew.errors import InputError
from batchbrew.parity import command
from batchbrew.parity.engines import ProbedEngine, bvlc
from batchbrew.parity.table import BEGIN, END


@pytest.fixture(autouse=True)
def _twice_the_same_engine(caffe_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "torch", lambda **_: bvlc(caffe_python, "again"))


def parity(*options: object) -> Result:
    return CliRunner().invoke(app, ["parity", *map(str, options)])


def test_rounds_with_all_that_is_written(tmp_path: Path) -> None:
    page, report = tmp_path / "engine.md", tmp_path / "found.json"
    page.write_text(f"{BEGIN}\n{END}\n")
    done = parity(
        "--types", "Sigmoid,Data", "--rounds", 2, "--seed", 3, "--json", report, "--write-table", page
    )
    assert done.exit_code == 0, done.output
    assert "Sigmoid" in done.output
    found = json.loads(report.read_text())
    assert found["seed"] == 3
    assert {kind: of["configurations"] for kind, of in found["types"].items()} == {"Sigmoid": 2, "Data": 2}
    assert "| Sigmoid | 2 |" in page.read_text()


def test_what_is_broken_makes_status_1(tmp_path: Path) -> None:
    """Real Caffe, standing in for ours, refuses in its own way: that is a fault."""
    done = parity("--types", "SPP", "--rounds", 3, "--keep", tmp_path)
    assert done.exit_code == 1
    assert "ours does not refuse it properly" in done.output
    number = done.output.partition("Again: ")[2].split(" --number ")[1].split()[0]
    assert f"SPP-{number}-seed1" in {path.name for path in tmp_path.iterdir()}


def test_one_case_is_kept(tmp_path: Path) -> None:
    assert parity("--types", "Sigmoid", "--number", 4, "--seed", 2, "--keep", tmp_path).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["Sigmoid-4-seed2"]


def test_by_the_clock() -> None:
    done = parity("--types", "Sigmoid", "--seed", 8, "--seconds", 0)
    assert done.exit_code == 0
    assert "seed 8: 2 configurations, 0 broken, worst forward 0.0e+00, gradient 0.0e+00" in done.output


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--types", "Sigmoit"], "did you mean Sigmoid"),
        (["--number", 3], "name that with --types"),
        (["--types", "Sigmoid,TanH", "--number", 3], "name that with --types"),
        (["--types", "Sigmoid", "--number", 3, "--seconds", 3], "leave one of them away"),
        (["--write-table", "gone.md"], "cannot be read"),
        (["--precision", "tf32"], "--precision tf32: there are fp32, bf16"),
    ],
)
def test_options_that_make_no_sense(options: list[object], error: str) -> None:
    done = parity(*options)
    assert isinstance(done.exception, InputError)
    assert error in str(done.exception)


def test_how_ours_is_to_compute(tmp_path: Path, caffe_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def stand_in(**settings: object) -> ProbedEngine:
        asked.append(settings)
        return bvlc(caffe_python, "again")

    monkeypatch.setattr(command, "torch", stand_in)
    page, report = tmp_path / "engine.md", tmp_path / "found.json"
    page.write_text(f"{BEGIN}\n{END}\n")
    options = ["--layer-by-layer", "--precision", "bf16"]
    parity("--types", "Sigmoid", "--rounds", 1, *options, "--json", report, "--write-table", page)
    parity("--types", "Sigmoid", "--rounds", 1)
    assert asked == [{"precision": "bf16", "fuses": False}, {"precision": "fp32", "fuses": True}]
    found = json.loads(report.read_text())
    assert found["options"] == "--layer-by-layer --precision bf16"
    assert "with --layer-by-layer --precision bf16; tolerances 0.016 and 0.016 for layers" in page.read_text()
