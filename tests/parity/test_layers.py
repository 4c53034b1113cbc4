"""Every layer type and whole nets, random configurations of each, in real Caffe and in ours as users have it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from batchbrew.parity.campaign import Campaign, Tally
from batchbrew.parity.drawing import KINDS
from batchbrew.parity.engines import ProbedEngine, bvlc, torch
from batchbrew.parity.table import in_words
from batchbrew.parity.tolerances import FP32

SEED = 1
ROUNDED = ["Convolution", "Deconvolution", "InnerProduct", "Pooling", "LSTM"]
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


def test_rough_numbers_in_bf16(caffe_python: Path) -> None:
    for kind, tally in _quickly(caffe_python, ROUNDED, torch(precision="bf16")).items():
        assert not tally.broken, "\n".join(map(in_words, tally.broken))
        assert (tally.forward[0].difference > FP32.forward) == (kind not in ("Pooling", "LSTM")), kind


def test_chains_in_bf16_and_layer_by_layer(caffe_python: Path) -> None:
    for ours in (torch(precision="bf16"), torch(fuses=False)):
        (tally,) = _quickly(caffe_python, ["chain"], ours).values()
        assert not tally.broken, "\n".join(map(in_words, tally.broken))
        assert tally.ill_conditioned < tally.configurations


def _quickly(caffe_python: Path, kinds: Sequence[str], ours: ProbedEngine) -> dict[str, Tally]:
    return Campaign(bvlc(caffe_python), ours).rounds(kinds, SEED, 3)
