"""Subjects are asked in turn; one that ends, or whose loss is no number, ends the benchmark with its own words."""

import sys
from pathlib import Path

import pytest
from asking import Asked, Measured, in_turn, running
from subjects import Start

from batchbrew.errors import EngineError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Writes down who is asked for what; `LOSS` is a Python expression of the iterations done so far.
SUBJECT = """
import sys
sys.path.insert(0, {benchmarks!r})
from serving import serve
done = 0
def train(steps):
    global done
    done += steps
    with open({diary!r}, "a") as file:
        file.write("{name} %d\\n" % steps)
serve(train, lambda: float({loss}), None)
"""


def subject(diary: Path, name: str = "one", loss: str = "done") -> Start:
    code = SUBJECT.format(benchmarks=str(BENCHMARKS), diary=str(diary), name=name, loss=loss)
    return Start([sys.executable, "-c", code], {})


def test_rounds_alternate_and_the_first_is_thrown_away(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    told: list[str] = []
    with running({"a": subject(diary, "a"), "b": subject(diary, "b")}) as asked:
        measured = in_turn(asked, rounds=2, steps=3, lead_in=1, told=told.append)
    assert diary.read_text().split("\n")[:-1] == ["a 1", "a 3", "b 1", "b 3"] * 3
    assert {name: len(each.seconds) for name, each in measured.items()} == {"a": 2, "b": 2}
    assert all(each.peak_bytes > 1_000_000 and each.loss == 12 for each in measured.values())
    assert told == ["round 0 of 2", "round 1 of 2", "round 2 of 2"]


def test_without_lead_in_nothing_is_trained_before(tmp_path: Path) -> None:
    with running({"a": subject(tmp_path / "diary", "a")}) as asked:
        in_turn(asked, rounds=1, steps=2)
    assert (tmp_path / "diary").read_text() == "a 2\n" * 2


def test_a_subject_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    start = Start([sys.executable, "-c", "import sys; sys.exit('no such engine')"], {})
    with pytest.raises(EngineError, match=r"^one ended with 1: no such engine$"), running({"one": start}):
        pass
    dies = subject(tmp_path / "diary", loss="1/0")
    with (
        running({"one": dies}) as asked,
        pytest.raises(EngineError, match=r"one ended with 1.*division by zero"),
    ):
        asked["one"].ask(1, 0)


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"one: .*/nothing cannot be run: No such file"):
        Asked("one", Start([str(tmp_path / "nothing")], {}))


def test_a_loss_that_is_no_number_ends_the_benchmark(tmp_path: Path) -> None:
    with (
        running({"one": subject(tmp_path / "diary", loss='"nan" if done > 2 else 1')}) as asked,
        pytest.raises(EngineError, match="one: the loss is nan"),
    ):
        in_turn(asked, rounds=1, steps=2)


def test_all_are_ended_at_the_end(tmp_path: Path) -> None:
    with running({"one": subject(tmp_path / "diary")}) as asked:
        process = asked["one"]._process
        assert process.poll() is None
    assert process.poll() is not None


def test_median() -> None:
    assert Measured([3, 1, 2.5]).step_seconds == 2.5
