"""Reports: JSON that any reader reads, tables, the page's marks."""

import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from batchbrew.errors import InputError
from batchbrew.parity.campaign import Tally
from batchbrew.parity.case import Case, Pass
from batchbrew.parity.compare import Comparison, Worst
from batchbrew.parity.table import (
    BEGIN,
    END,
    as_json,
    check_page,
    in_words,
    print_table,
    report,
    rows,
    write_table,
)
from batchbrew.parity.tolerances import BF16_LAYER
from batchbrew.proto import caffe_pb2 as pb

CASES = [Case("ReLU", 7, number, pb.NetParameter(), pb.TEST, [Pass()]) for number in range(5)]


def tallies() -> dict[str, Tally]:
    tally = Tally("ReLU")
    tally.count(Comparison(CASES[0], Worst(3e-7, "0 data a"), Worst(2e-5, "0 diff a")))
    tally.count(Comparison(CASES[1], Worst(5e-6, "1 data b"), Worst(1e-5, "0 diff b")))
    tally.count(Comparison(CASES[2], refused=True))
    tally.count(Comparison(CASES[3], Worst(1.0, "0 data c"), ill_conditioned=True))
    return {"ReLU": tally, "Split": Tally("Split")}


def broken() -> dict[str, Tally]:
    found = tallies()
    found["ReLU"].count(Comparison(CASES[4], Worst(math.inf, "0 data d"), faults=("it smells",)))
    return found


def test_rows() -> None:
    assert rows(report(tallies())) == [
        ("ReLU", "3", "1", "1", "5.0e-06", "2.0e-05", "same"),
        ("Split", "0", "0", "0", "0", "0", "none"),
    ]
    assert rows(report(broken()))[0][1] == "3"  # the broken one is not counted
    assert rows(report(broken()))[0][4:] == ("differs", "2.0e-05", "1 broken")


def test_where_every_case_is_ill_conditioned_nothing_is_the_same() -> None:
    tally = Tally("ReLU")
    tally.count(Comparison(CASES[3], Worst(1.0, "0 data c"), ill_conditioned=True))
    assert rows(report({"ReLU": tally}))[0][1:] == ("1", "0", "1", "0", "0", "unclear")


def test_json_has_how_to_see_the_worst_again() -> None:
    found = json.loads(as_json(report(broken(), seed=7)))
    assert found["seed"] == 7
    worst = found["types"]["ReLU"]["worst_gradient"]
    assert worst["where"] == "0 diff a"
    assert worst["reproduce"] == "batchbrew parity --types ReLU --seed 7 --number 0 --keep kept"
    (told,) = found["types"]["ReLU"]["broken"]
    assert told["forward"]["difference"] is None
    assert told["faults"] == ["it smells"]


def test_a_broken_case_in_words() -> None:
    text = in_words(
        Comparison(CASES[4], Worst(2e-5, "0 data d"), Worst(9e-5, "0 diff d"), faults=("it smells",))
    )
    assert text.startswith("ReLU 4, seed 7: it smells; forward 2.0e-05 (0 data d). Again: batchbrew parity")


def test_a_case_is_seen_again_as_it_was_computed() -> None:
    options = "--precision bf16"
    (told,) = report(broken(), options)["types"]["ReLU"]["broken"]
    assert told["reproduce"].endswith(" --number 4 --precision bf16 --keep kept")
    text = in_words(Comparison(CASES[4], Worst(2e-5, "0 data d"), tolerances=BF16_LAYER), options)
    assert text == f"ReLU 4, seed 7: . Again: {told['reproduce']}"  # within that tolerance


def test_the_table_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    found = broken() | {"MultinomialLogisticLoss": Tally("MultinomialLogisticLoss")}
    print_table(report(found), Console(width=80))
    shown = capsys.readouterr().out
    assert "1 broken" in shown
    assert "…" not in shown


def test_the_page_keeps_what_is_around_the_table(tmp_path: Path) -> None:
    page = tmp_path / "engine.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_table(report(tallies(), seed=7), page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "| ReLU | 3 | 1 | 1 | 5.0e-06 | 2.0e-05 | same |" in text
    assert "old" not in text
    write_table(report(tallies(), seed=7), page)
    assert page.read_text() == text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_marks_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "engine.md"
    page.write_text(text)
    with pytest.raises(InputError, match="no place for the table"):
        check_page(page)


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        check_page(tmp_path / "gone.md")
