"""`batchbrew train RECIPE`: what is refused, and one whole training of a recipe, on the engine that is the default."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from batchbrew.cli import app
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt
from batchbrew.training.recipe_model import solver_file
from tests.training.conftest import CLASSES, RECORDS, write_lmdb

RECIPE = """\
# a recipe of our own
network:
  family: resnet
  depth: 10
  crop: 8
  bn_fraction: 0.9
training:
  batch: 32
  device_batch: 16
  epochs: 64
  base_lr: 0.01
  seed: 3
  precision: bf16
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe beside an LMDB of tiny images, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    write_lmdb(tmp_path / "train_lmdb")
    path = Path("tiny.yaml")
    path.write_text(RECIPE)
    return path


def run(*arguments: str) -> None:
    CliRunner().invoke(app, ["train", *arguments], catch_exceptions=False)


def settings() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(Path("run/run.json").read_text())
    return values


def test_a_recipe_is_generated_and_trained_and_resumed_in_another_precision(recipe: Path) -> None:
    sources = ("--train", "train_lmdb", "--val", "train_lmdb")
    options = ("--classes", str(CLASSES), "--iterations", "4", "--cpu", "--run", "run")
    done = CliRunner().invoke(app, ["train", str(recipe), *sources, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "Duration: 4 iterations x 32 / 50 images = 2.56 epochs." in done.output
    assert "Trained to iteration 4" in done.output
    assert Path("run/recipe.yaml").read_text() == RECIPE
    assert Path("run/snapshots/resnet10_iter_4.caffemodel").is_file()

    solver = read_prototxt("run/solver.prototxt", pb.SolverParameter)
    assert (solver.max_iter, solver.iter_size, solver.random_seed) == (4, 2, 3)
    assert solver.solver_mode == pb.SolverParameter.CPU
    assert solver.base_lr == pytest.approx(0.01)
    header = Path("run/solver.prototxt").read_text().split("\n\n")[0]
    assert (
        "# batchbrew train tiny.yaml --train=train_lmdb --val=train_lmdb --classes=3 --iterations=4" in header
    )
    assert "# Learning rate: from 0.01 linearly to 0." in header
    net = read_prototxt("run/train_val.prototxt", pb.NetParameter)
    assert net.layer[0].data_param.source == "train_lmdb"
    assert net.layer[0].transform_param.crop_size == 8
    assert read_prototxt("run/deploy.prototxt", pb.NetParameter).name == "resnet10"

    assert (settings()["engine"], settings()["precision"]) == ("torch", "bf16")
    said = "engine: torch, device: the CPU, precision: bf16"
    assert said in done.output
    log = Path("run/train.log").read_text()
    assert log.count(f"] {said}\n") == 1
    with pytest.raises(InputError, match="precision bf16 needs --engine torch: bvlc computes in fp32"):
        run("--resume", "--run", "run", "--engine", "bvlc")
    assert settings()["engine"] == "torch"
    run("--resume", "--run", "run", "--precision", "fp32", "--cpu")  # it is finished: nothing is left to do
    assert settings()["precision"] == "fp32"
    run("--resume", "--run", "run", "--engine", "bvlc")
    assert settings()["engine"] == "bvlc"


def test_a_run_that_is_there_is_not_touched(recipe: Path) -> None:
    Path("run").mkdir()
    Path("run/run.json").write_text("{}")
    with pytest.raises(InputError, match="run holds a run already"):
        run(str(recipe), "--train", "train_lmdb", "--val", "train_lmdb", "--classes", "3", "--run", "run")
    assert [path.name for path in Path("run").iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["tiny.yaml"], "tiny.yaml is a recipe: add --train SOURCE, an LMDB or image list to train with"),
        (["tiny.yaml", "--train", "train_lmdb"], "tiny.yaml is a recipe: add --val SOURCE"),
        (["tiny.yaml", "--epochs", "1", "--iterations", "1"], "--epochs and --iterations say the same in two ways"),
        (["none.yaml", "--train", "train_lmdb", "--val", "train_lmdb"], "none.yaml cannot be read: No such file"),
        (
            ["tiny.yaml", "--train", "train_lmdb", "--val", "train_lmdb", "--device-batch", "5"],
            "tiny.yaml: a batch of 32 cannot be made of device batches of 5: the nearest that divide it are 4 or 8",
        ),
        (
            ["tiny.yaml", "--train", "train_lmdb", "--val", "v.txt", "--classes", "3"],
            "tiny.yaml: v.txt does not exist yet: say with --val-images how many images it has",
        ),
        (
            ["tiny.yaml", "--train", "train_lmdb", "--val", "train_lmdb", "--classes", "3", "--engine", "bvlc"],
            "precision bf16 needs --engine torch",
        ),
        (["solver.prototxt", "--train", "t", "--classes", "3"], "--train, --classes: only for a recipe"),
        (["--resume", "--run", "run", "--epochs", "3"], "what run was begun with: leave out --epochs"),
        ([], "no solver is named: batchbrew train SOLVER.prototxt or RECIPE.yaml"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(recipe: Path, options: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        run(*options)
    assert message in str(error.value)
    assert not Path("logs").exists()


def test_a_solver_is_taken_as_it_is() -> None:
    with solver_file(Path("solver.prototxt"), {}) as file:
        assert (file.path, file.notes, file.precision) == (Path("solver.prototxt"), (), None)


def test_the_model_of_a_recipe_is_gone_in_the_end(recipe: Path) -> None:
    options = {"--train": "train_lmdb", "--val": "train_lmdb", "--classes": CLASSES}
    with solver_file(recipe, options) as file:
        names = {path.name for path in file.path.parent.iterdir()}
        assert names == {"train_val.prototxt", "deploy.prototxt", "solver.prototxt", "recipe.yaml"}
        solver = read_prototxt(file.path, pb.SolverParameter)
    assert not file.path.parent.exists()
    assert file.precision == "bf16"
    assert not solver.HasField("solver_mode")  # so it is trained on what there is
    assert (
        file.notes[0]
        == f"Duration: 64 epochs x {RECORDS} images / 32 = 100, as a round number 100 iterations."
    )
