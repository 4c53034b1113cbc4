"""Each rule about solvers: the planted mistake is found, the mended file quiet, and real Caffe does what is claimed."""

import json
from pathlib import Path
from typing import Any

import pytest

from batchbrew.lint.registry import SOLVER_RULES
from tests.conftest import RunCaffe
from tests.lint.caffe_builds import RUN_SOLVERS
from tests.lint.planted import assert_caffe_ends, assert_found_and_mended, make_sources, names
from tests.lint.planted_solvers import FILES, PLANTED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("solvers")
    make_sources(folder)
    (folder / "snapshots").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for number, planted in enumerate(PLANTED):
        (folder / f"{number}_wrong.solver").write_text(planted.wrong)
        (folder / f"{number}_mended.solver").write_text(planted.mended)
    return folder


@pytest.fixture(scope="module")
def caffe_says(run_caffe: RunCaffe, folder: Path) -> dict[str, Any]:
    """Of each file: the line with which Caffe ended, empty if it did not."""
    answers: dict[str, Any] = run_caffe(RUN_SOLVERS, folder)
    return answers


@pytest.mark.parametrize("number", range(len(PLANTED)), ids=names(PLANTED))
def test_the_mistake_is_found_and_the_mended_file_quiet(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.chdir(folder)
    wrong, mended = (Path(f"{number}_{each}.solver") for each in ("wrong", "mended"))
    assert_found_and_mended(PLANTED[number], wrong, mended)


@pytest.mark.parametrize("number", range(len(PLANTED)), ids=names(PLANTED))
def test_caffe_ends_where_it_is_said_to(caffe_says: dict[str, Any], number: int) -> None:
    assert_caffe_ends(PLANTED[number], caffe_says[f"{number}_wrong"], caffe_says[f"{number}_mended"])


def test_every_rule_has_a_planted_mistake() -> None:
    assert {planted.rule for planted in PLANTED} == set(SOLVER_RULES), json.dumps(sorted(SOLVER_RULES))
