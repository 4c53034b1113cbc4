"""What every command does alike: help with an example, exit codes, one line for an error."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from batchbrew import __version__
from batchbrew.cli import app


def every_command(
    command: typer.core.TyperGroup | object, path: tuple[str, ...] = ()
) -> list[tuple[str, ...]]:
    if not isinstance(command, typer.core.TyperGroup):
        return [path]
    return [each for name, child in command.commands.items() for each in every_command(child, (*path, name))]


COMMANDS = every_command(get_command(app))
FORWARDING = ("generate", "finetune")  # options that they do not know are a generator's


def batchbrew(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "batchbrew", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_commands_are_those_that_are_documented() -> None:
    assert {" ".join(command) for command in COMMANDS} == {
        "generate", "summary", "view", "lint", "train", "finetune", "test", "plot", "parity", "doctor",
        "lmdb build", "lmdb info", "lmdb verify", "lmdb show", "lmdb export", "lmdb mean", "lmdb shuffle",
        "lmdb merge", "lmdb subset", "lmdb split",
    }  # fmt: skip


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] not in FORWARDING], ids=" ".join)
def test_help_shows_an_example_and_an_unknown_option_is_status_2(command: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        result = CliRunner().invoke(app, [*command, option], env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        assert f"batchbrew {' '.join(command)}" in result.output.partition("Example")[2]
    result = CliRunner().invoke(app, [*command, "--nonsense"])
    assert result.exit_code == 2
    assert "No such option: --nonsense" in result.output


@pytest.mark.parametrize("arguments", [[], ["lmdb"], ["--help"], ["lmdb", "--help"]], ids=" ".join)
def test_a_group_lists_its_commands(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == (0 if "--help" in arguments else 2)
    of_lmdb = {command[1] for command in COMMANDS if command[0] == "lmdb"}
    for name in of_lmdb if "lmdb" in arguments else {command[0] for command in COMMANDS}:
        assert name in result.output


def test_generate_has_the_help_of_its_generator(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["generate", "resnet", "--help"])
    assert result.exit_code == 0
    assert "--depth 50 --classes 1000 --train data/train_lmdb" in result.output
    assert "batchbrew generate resnet" in result.output
    for arguments, status in ((["generate", "--help"], 0), (["generate"], 2), (["generate", "vgg19"], 2)):
        assert CliRunner().invoke(app, arguments).exit_code == status
    assert CliRunner().invoke(app, ["generate", "resnet", "--nonsense"]).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "nowhere.prototxt"],
        ["train", "solver.yaml"],
        ["train", "--resume", "--run", "nowhere"],
        ["test"],
        ["test", "--run", "nowhere"],
        ["test", "nowhere.prototxt", "--weights", "nowhere.caffemodel"],
        ["plot", "nowhere.log"],
        ["lmdb", "build", "--out", "nowhere"],
        ["lmdb", "build", "--out", "db", "--folder", "nowhere"],
        ["lmdb", "info", "nowhere"],
        ["lmdb", "verify", "nowhere"],
        ["lmdb", "show", "nowhere"],
        ["lmdb", "export", "nowhere", "out"],
        ["lmdb", "mean", "nowhere", "out"],
        ["lmdb", "shuffle", "nowhere", "out"],
        ["lmdb", "merge", "nowhere", "nor here", "out"],
        ["lmdb", "merge", "out"],
        ["lmdb", "subset", "nowhere", "out", "--count", "3"],
        ["lmdb", "subset", "nowhere", "out", "--labels", "3-1"],
        ["lmdb", "split", "nowhere", "a", "b", "--fractions", "0.5,0.5"],
        ["lmdb", "split", "nowhere", "a", "b", "--fractions", "half"],
    ],
    ids=" ".join,
)
def test_an_error_of_the_users_is_one_line_and_status_1(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from batchbrew.__main__ import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["batchbrew", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    output, error = capfd.readouterr()
    assert output == ""
    assert error.startswith("batchbrew: ")
    assert error.count("\n") == 1 and error.endswith("\n")
    assert list(tmp_path.iterdir()) == []


def test_as_a_process(tmp_path: Path) -> None:
    assert batchbrew("--version").stdout == f"batchbrew {__version__}\n"
    done = batchbrew("lmdb", "info", tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Traceback" not in done.stderr
    done = batchbrew(
        "generate", "resnet", "--depth", "11", "--classes", "2", "--train", "a", "--val", "b", "--out", "o"
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--depth 11 is not known" in done.stderr


def test_help_loads_nothing_that_is_slow() -> None:
    code = """
import sys
from batchbrew.cli import app
sys.argv = ["batchbrew", *sys.argv[1:]]
try:
    app()
except SystemExit:
    pass
print(*sorted({"cv2", "matplotlib", "numpy", "lmdb", "torch"} & set(sys.modules)), file=sys.stderr)
"""
    for arguments in (["--help"], ["train", "--help"], ["generate", "resnet", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert done.stderr == "\n", arguments
        assert "batchbrew" in done.stdout


def test_a_reader_that_has_seen_enough() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "batchbrew", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()
