"""The command: what it prints, and its exit code."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from batchbrew.cli import app
from batchbrew.lint.command import lint
from tests.lint.planted_nets import INPUT, batch_norm, head, scale

WARNED = INPUT + batch_norm("") + scale() + batch_norm("", "bn2") + scale(name="scale2") + head()
WRONG = INPUT + head("dta")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("good", INPUT + head()), ("warned", WARNED), ("wrong", WRONG)):
        Path(f"{name}.prototxt").write_text(text)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lint", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["good.prototxt"], 0),
        (["warned.prototxt"], 0),
        (["warned.prototxt", "--strict"], 1),
        (["warned.prototxt", "--strict", "--ignore", "bn-multipliers"], 0),
        (["good.prototxt", "wrong.prototxt"], 1),
        (["wrong.prototxt", "--ignore", "unknown-blob"], 0),
        (["wrong.prototxt", "--format", "json"], 1),
        (["--list-rules"], 0),
    ],
)
def test_exit_codes(arguments: list[str], code: int) -> None:
    assert run(*arguments)[0] == code


def test_text_says_what_why_and_how_to_mend_it_grouped_by_file() -> None:
    assert run("good.prototxt", "wrong.prototxt", "--ignore", "unread-blob")[1].splitlines() == [
        "good.prototxt: nothing found",
        "wrong.prototxt",
        "  error line 3: fc: no layer before it makes dta in TRAIN [unknown-blob]",
        "    why: Caffe ends at it: Unknown bottom blob.",
        "    fix: did you mean data?",
        "1 error, 0 warnings, 0 notes",
    ]


def test_one_mistake_in_many_layers_is_said_once() -> None:
    assert run("warned.prototxt")[1].splitlines()[1:3] == [
        "  warning line 3: bn: it has 0 param with lr_mult: 0 instead of three [bn-multipliers]",
        "    also: bn2 (line 5)",
    ]


def test_colours_are_for_terminals() -> None:
    assert "\x1b" not in run("wrong.prototxt")[1]
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system="standard")
    arguments = {"output_format": "text", "strict": False, "ignore": [], "list_rules": False}
    assert lint([Path("wrong.prototxt")], console=console, **arguments) == 1  # type: ignore[arg-type]
    assert "\x1b[1;31merror" in screen.getvalue()


def test_json_has_every_finding() -> None:
    report = json.loads(run("warned.prototxt", "--format", "json")[1])
    assert report["files"] == ["warned.prototxt"]
    assert (report["errors"], report["warnings"], report["notes"]) == (0, 2, 0)
    assert report["findings"][0] == {
        "file": "warned.prototxt",
        "line": 3,
        "layer": "bn",
        "rule": "bn-multipliers",
        "severity": "warning",
        "what": "it has 0 param with lr_mult: 0 instead of three",
        "why": "Caffe before 1.0 takes mean, variance and factor for weights, and weight decay eats them; "
        "1.0 protects them.",
        "fix": "write param { lr_mult: 0 } three times into it",
    }


def test_every_rule_is_listed() -> None:
    lines = run("--list-rules")[1].splitlines()
    assert "bn-shift                 warning  Scale after BatchNorm without bias_term" in lines
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no file is named: batchbrew lint NET|SOLVER"),
        (["good.prototxt", "--format", "xml"], "--format xml is not known: it is text or json"),
        (
            ["good.prototxt", "--ignore", "bn-shft"],
            "--ignore bn-shft: there is no such rule: did you mean bn-shift?",
        ),
        (["none.prototxt"], "none.prototxt is not there: a prototxt (text) is expected"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["lint", *arguments])
    assert str(result.exception) == message
