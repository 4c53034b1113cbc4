"""Real Caffe against itself: no difference; and against itself with a wrong number: found, and kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from batchbrew.errors import EngineError
from batchbrew.parity import campaign
from batchbrew.parity.campaign import Campaign
from batchbrew.parity.compare import Comparison
from batchbrew.parity.engines import ProbedEngine, bvlc, run_probe

KINDS = ["Convolution", "SoftmaxWithLoss", "Dropout", "wiring"]


@pytest.fixture
def twice(caffe_python: Path) -> Campaign:
    return Campaign(bvlc(caffe_python), bvlc(caffe_python, "again"))


def not_of_words(found: Sequence[Comparison]) -> list[str]:
    """Faults but those that Caffe refuses in its own way, not ours."""
    return [fault for each in found for fault in each.faults if "does not refuse it properly" not in fault]


def test_real_caffe_is_the_same_as_itself(twice: Campaign) -> None:
    for tally in twice.rounds(KINDS, 5, 4).values():
        assert not_of_words(tally.broken) == []
        assert (tally.forward[0].difference, tally.gradient[0].difference) == (0, 0)
        assert tally.configurations >= 4


def test_a_wrong_number_is_found_and_its_case_kept(
    caffe_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(engines: Sequence[ProbedEngine], folder: Path) -> None:
        run_probe(engines, folder)
        for path in folder.glob("*/again/result.npz"):
            arrays = dict(np.load(path))
            arrays["0|data|top0"].flat[0] *= 1.001
            np.savez(path, **arrays)

    monkeypatch.setattr(campaign, "run_probe", meddle)
    told: list[Comparison] = []
    wrong = Campaign(bvlc(caffe_python), bvlc(caffe_python, "again"), tmp_path / "kept", told.append)
    tally = wrong.rounds(["InnerProduct"], 1, 1)["InnerProduct"]
    assert tally.broken == told
    (found,) = told
    assert found.forward.where == "0 data top0"
    assert 1e-4 < found.forward.difference < 2e-2
    (kept,) = (tmp_path / "kept").iterdir()
    assert {"net.prototxt", "arrays.npz", "bvlc", "again"} <= {path.name for path in kept.iterdir()}
    lenient = Campaign(bvlc(caffe_python), bvlc(caffe_python, "again"), leeway=1e4)
    assert not lenient.rounds(["InnerProduct"], 1, 1)["InnerProduct"].broken


def test_an_engine_that_cannot_start_is_told(caffe_python: Path, tmp_path: Path) -> None:
    broken = ProbedEngine("torch", ["sh", "-c", "echo no torch here >&2; exit 3"], 1)
    with pytest.raises(EngineError, match=r"torch ended with 3 .*: no torch here"):
        Campaign(bvlc(caffe_python), broken, tmp_path).one("ReLU", 1, 0)
