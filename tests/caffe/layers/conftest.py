"""Real Caffe's answers to the examples of all test modules of layers, computed in one process."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.parity.case import write_case
from batchbrew.parity.engines import bvlc, run_probe
from batchbrew.parity.results import Result, read_result
from tests.caffe.layers.single_layer import EXAMPLES


@pytest.fixture(scope="session")
def caffe_answers(caffe_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Result]:
    """By the example's name."""
    folder = tmp_path_factory.mktemp("examples")
    for number, case in enumerate(EXAMPLES.values()):
        write_case(case, folder / f"{number:05d}")
    run_probe([replace(bvlc(caffe_python), cases_a_process=len(EXAMPLES))], folder)  # none should end it
    return {name: read_result(folder / f"{number:05d}", "bvlc") for number, name in enumerate(EXAMPLES)}
