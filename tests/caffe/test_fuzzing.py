"""Some hundred damaged inputs of every kind: each is used, or refused by one clear line. benchmarks/fuzz_engine.py
attempts any number.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.caffe.fuzzing.campaign import KINDS, ROOT, SHARES, Tally, run_campaign
from tests.caffe.fuzzing.damaged import Damaged, write_damaged
from tests.caffe.fuzzing.exercise import VIOLATION

SEED = 1
INPUTS = 300
BROKEN_LAYER = b"""
import caffe, ctypes, os, time


class Broken(caffe.Layer):
    def setup(self, bottom, top):
        {"crash": lambda: ctypes.string_at(0), "raise": lambda: [][1], "exit": lambda: os._exit(3),
         "fill": lambda: bytearray(2**33)}[self.param_str]()
"""


@pytest.fixture(scope="module")
def tallies() -> dict[str, Tally]:
    *_, last = run_campaign(SEED, INPUTS)
    return last


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_does_harm(tallies: dict[str, Tally], kind: str) -> None:
    tally = tallies[kind]
    assert not tally.violations, "\n".join(f"{each['again']}: {each['text']}" for each in tally.violations)
    assert tally.inputs == tally.loaded + tally.refused >= SHARES[kind] * INPUTS / 100
    assert tally.refused


def test_the_same_input_each_time() -> None:
    for kind, draw in KINDS.items():
        one, again = draw(kind, 5, 3), draw(kind, 5, 3)
        assert (one.job, one.files) == (again.job, again.files), kind


def test_harm_is_seen_and_the_next_input_attempted(tmp_path: Path) -> None:
    """What real inputs should never do, a Python layer does on purpose."""
    (tmp_path / "broken.py").write_bytes(BROKEN_LAYER)
    for number, what in enumerate(("crash", "raise", "exit", "fill")):
        net = (
            f'layer {{ name: "broken" type: "Python" top: "y" '
            f'python_param {{ module: "broken" layer: "Broken" param_str: "{what}" }} }}'
        )
        files = {"net.prototxt": net.encode()}
        write_damaged(Damaged("layer", 0, number, {"do": "net", "phase": 1}, files), tmp_path / str(number))
    done = subprocess.run(
        [sys.executable, "-m", "tests.caffe.fuzzing.jail", tmp_path],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["outcome"] for each in results] == [VIOLATION] * 3 + ["refused"]
    assert results[0]["text"] == "crashes: SIGSEGV"
    assert results[1]["text"].startswith("IndexError in broken.py:")
    assert results[2]["text"] == "the process ended with exit code 3"
    assert results[3]["text"].startswith("layer broken (Python): needs more memory than there is")
