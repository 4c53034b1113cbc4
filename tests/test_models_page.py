"""docs/models.md: its numbers are those of the generators' networks, all of which are there, and its commands run."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from batchbrew.cli import app
from batchbrew.errors import InputError
from batchbrew.nets.command import main
from batchbrew.nets.families import FAMILIES
from batchbrew.nets.shapes import infer_shapes
from batchbrew.nets.summary import summarise
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.training.finetuning import finetuning_solver
from tests.nets.combinations import Combination, built, combinations
from tests.nets.test_released import RELEASED
from tests.nets.test_sources import make_lmdb

CHECKOUT = Path(__file__).parents[1]
PAGE = (CHECKOUT / "docs/models.md").read_text()
RECIPES = sorted((CHECKOUT / "solvers").glob("*.yaml"))
SUFFIXES = {"original": ["--original"], "he": ["--variant", "he"]}
ROWS = re.findall(r"^\| `(.+?)` \|(.*)\|$", PAGE, re.MULTILINE)


def networks() -> dict[str, Combination]:
    """Every network of the generators, by its name on the page; sources and counts come on top."""
    found: dict[str, Combination] = {}
    for each in combinations():
        suffix = each.variant.removeprefix(each.family).strip()
        depth = [] if each.depth is None else ["--depth", str(each.depth)]
        name = f"{each.family}{each.depth or ''}" + (f"-{suffix}" if suffix else "")
        options = ["--train", "t_lmdb", "--val", "v_lmdb", *depth, *SUFFIXES.get(suffix, [])]
        found[name] = Combination(each.family, each.variant, each.depth, tuple(options))
    return found


NETWORKS = networks()


def numbers(row: str) -> list[str]:
    """The cells in the middle of the table's row: what `batchbrew summary` says of that network."""
    name, *further = row.split()
    model = built(NETWORKS[name], *further)
    training = summarise(name, "TRAIN", infer_shapes(model.train_val, pb.TRAIN))
    deployed = summarise(name, "TEST", infer_shapes(model.deploy, pb.TEST))
    return [
        f"{training.learned:,}",
        f"{training.statistics:,}",
        f"{training.multiply_adds / 1e6:,.0f}",
        f"{training.training_bytes / 2**20:,.1f}",
        f"{deployed.deployment_bytes / 2**20:,.1f}",
    ]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|")]


def test_numbers_are_those_of_the_generated_networks() -> None:
    wrong = []
    for name, row in ROWS:
        right = numbers(name)
        if cells(row)[:-1] != right:
            wrong.append(f"| `{name}` | {' | '.join([*right, cells(row)[-1]])} |")
    assert not wrong, "\n".join(["docs/models.md should have these rows:", *wrong])


def test_every_network_is_in_the_table_once_and_in_a_card() -> None:
    assert {each.family for each in NETWORKS.values()} == set(FAMILIES)
    assert [name for name, _ in ROWS if " " not in name] == list(NETWORKS)
    headings = "".join(re.findall(r"^## .*", PAGE, re.MULTILINE))
    for name in NETWORKS:
        first_and_last = re.findall(rf"`{re.sub('[0-9]+', '[0-9]+', name)}`", headings)
        assert f"`{name}`" in headings or len(first_and_last) == 2, name


def test_errors_are_those_of_the_recipes() -> None:
    errors = {name: cells(row)[-1] for name, row in ROWS}
    for path in RECIPES:
        expected = re.search(r"Expected +([\d.]+) % top-1 and ([\d.]+) % top-5", path.read_text())
        said = " / ".join(expected.groups()) + " [1]" if expected else "not published"
        assert errors[path.stem] == said, path
    for error in errors.values():
        assert error == "not published" or re.fullmatch(r"\d+\.\d+ / \d+\.\d+ \[[1-4]\]", error), error


def test_weights_are_those_that_are_tested_to_load() -> None:
    said = re.findall(r"^- \*\*Weights that fit\*\* (.*(?:\n  .*)*)", PAGE, re.MULTILINE)
    names = [name for text in said for name in re.findall(r"`([^`]+)`", text)]
    releases = {name for name in names if name not in NETWORKS and not name.endswith(".caffemodel")}
    assert releases == set(RELEASED)


def commands() -> list[list[str]]:
    """Every command of the page's code blocks, in words."""
    lines = re.findall(r"^    (\S.*)", PAGE.replace("\\\n", " "), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, but for the images that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for name in ("train_lmdb", "val_lmdb"):
        make_lmdb(Path("data") / name, 2000)


def test_every_recipe_is_linked() -> None:
    linked = re.findall(r"\(\.\./solvers/(.+?)\)", PAGE)
    assert sorted(linked) == [path.name for path in RECIPES]


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize("command", commands(), ids=lambda words: " ".join(words[1:5]))
def test_command_runs(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    match command:
        case ["python", script, *options]:
            assert (CHECKOUT / script).is_file()
            family = Path(script).stem.removeprefix("generate_")
            assert main(family, options) == 0, capsys.readouterr().err
            assert capsys.readouterr().err == ""
            assert Path(options[options.index("--out") + 1], "solver.prototxt").is_file()
        case ["scripts/train.sh", *options]:
            said, _ = parsed("train", options)
            assert CHECKOUT / said["solver"] in RECIPES
        case ["batchbrew", "finetune", *options]:
            said, further = parsed("finetune", options)
            assert said["net"] in NETWORKS
            # All but the weights is there: that is how far it comes.
            with (
                pytest.raises(InputError, match=re.escape(said["weights"])),
                finetuning_solver(
                    said["net"],
                    Path(said["weights"]),
                    int(said["classes"]),
                    global_stats=True,
                    options=further,
                ),
            ):
                pass
        case _:
            pytest.fail(f"no test for {shlex.join(command)}")


def parsed(command: str, options: list[str]) -> tuple[dict[str, str], list[str]]:
    """What `batchbrew COMMAND` understands of `options`, and what it leaves to others; it ends at what it knows not."""
    context = typer.main.get_command(app).commands[command].make_context(command, list(options))  # type: ignore[attr-defined]
    return {name: str(value) for name, value in context.params.items()}, list(context.args)
