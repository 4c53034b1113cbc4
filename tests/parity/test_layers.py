"""Every layer type and whole nets, random configurations of each, in real Caffe and in ours."""

from pathlib import Path

import pytest

from batchbrew.parity.campaign import Campaign, Tally
from batchbrew.parity.drawing import KINDS
from batchbrew.parity.engines import bvlc, torch
from batchbrew.parity.table import in_words

SEED = 1
CONFIGURATIONS = 5
OF_GENERATED_NETS = 1


@pytest.fixture(scope="module")
def tallies(caffe_python: Path) -> dict[str, Tally]:
    """All in one process of each engine."""
    both = Campaign(bvlc(caffe_python), torch())
    nets = [kind for kind in KINDS if kind.startswith("net:")]
    layers = [kind for kind in KINDS if kind not in nets]
    return both.rounds(layers, SEED, CONFIGURATIONS) | both.rounds(nets, SEED, OF_GENERATED_NETS)


@pytest.mark.parametrize("kind", KINDS)
def test_same_numbers(tallies: dict[str, Tally], kind: str) -> None:
    tally = tallies[kind]
    assert not tally.broken, "\n".join(map(in_words, tally.broken))
    assert tally.configurations >= (OF_GENERATED_NETS if kind.startswith("net:") else CONFIGURATIONS)
    assert tally.ill_conditioned <= 1
