"""Every recipe in solvers/ and the paper's numbers; options of a recipe, and mistakes in its own words."""

import re
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.nets.command import generator_parser
from batchbrew.nets.generation import Model
from batchbrew.nets.recipes import build_recipe, recipe_options, recipe_precision
from batchbrew.solver.recipe import Recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "solvers").glob("*.yaml"))
SOURCES = {"--train": "train_lmdb", "--val": "val_lmdb", "--out": "m"}  # not there: taken for ILSVRC12

# Base rate, weight decay, iterations, iter_size, device batch, crop: arXiv 1612.01452 and the released solvers of
# AlexNet, VGG19, ResNet-10 and ResNet-50; the other depths as their siblings.
RESNET = (0.1, 0.0001, 320_000, 16, 16, 224)
VGG = (0.01, 0.0005, 300_000, 16, 16, 224)
NUMBERS = {
    "alexnet": (0.05, 0.0005, 320_000, 2, 128, 227),
    "vgg16": VGG,
    "vgg19": VGG,
    "resnet10": RESNET,
    "resnet18": RESNET,
    "resnet34": RESNET,
    "resnet50": RESNET,
    "resnet101": RESNET,
}

# Top-1 and top-5 error of the models that were released: table 1, and README.md of cvjena/cnn-models.
PUBLISHED = {"alexnet": (39.9, 18.1), "vgg19": (26.9, 8.8), "resnet10": (36.1, 14.8), "resnet50": (24.6, 7.6)}

RECIPE = """
network: {family: resnet, depth: 10, crop: 32}
training: {batch: 32, device_batch: 16, epochs: 2, base_lr: 0.1}
"""


def build(recipe: Recipe, **given: object) -> Model:
    options = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
    return build_recipe(recipe, {**SOURCES, **options}, warn=lambda _: None)


def build_text(text: str, **given: object) -> Model:
    return build(Recipe(Path("r.yaml"), text), **given)


def complaint(text: str, **given: object) -> str:
    with pytest.raises(InputError) as error:
        build_text(text, **given)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_there_is_a_recipe_for_each_of_these() -> None:
    assert {path.stem for path in RECIPES} == NUMBERS.keys()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_trains_as_the_paper_does(path: Path) -> None:
    model = build(read_recipe(path))
    base_lr, weight_decay, iterations, iter_size, device_batch, crop = NUMBERS[path.stem]
    solver, data = model.solver, model.train_val.layer[0]
    assert solver.base_lr == pytest.approx(base_lr)
    assert solver.weight_decay == pytest.approx(weight_decay)
    assert solver.momentum == pytest.approx(0.9)
    assert (solver.type, solver.lr_policy, solver.power) == ("SGD", "poly", 1)
    assert (solver.max_iter, solver.iter_size) == (iterations, iter_size)
    assert solver.snapshot == 5000
    assert (data.data_param.batch_size, data.transform_param.crop_size) == (device_batch, crop)
    assert solver.iter_size * data.data_param.batch_size == 256
    assert data.transform_param.mirror
    assert not data.transform_param.mean_value
    assert model.train_val.name == path.stem
    assert not model.warnings


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_header_tells_what_is_true(path: Path) -> None:
    header = path.read_text().split("\n\n")[0]
    for what in ("# Source ", "# Expected ", "# Memory ", "# Cost "):
        assert what in header
    assert f"scripts/train.sh solvers/{path.name} --train" in header
    model = build(read_recipe(path))
    assert f"{model.cost.multiply_adds:,} multiply-adds an image" in header
    told = re.search(r"(\S+) in (\d+) epochs of 1,281,167 images", header)
    assert told is not None
    assert model.explanation[0].startswith(f"Duration: {told[2]} epochs")
    in_all = 3 * model.cost.multiply_adds * int(told[2]) * 1_281_167
    assert float(told[1]) == pytest.approx(in_all, rel=0.06)
    assert f" {model.solver.max_iter:,}" in path.read_text()
    if path.stem in PUBLISHED:
        top_1, top_5 = PUBLISHED[path.stem]
        assert f"{top_1} % top-1 and {top_5} % top-5 error" in header
    else:
        assert "not published for this net" in header


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_says_how_exactly_it_trains(path: Path) -> None:
    assert recipe_precision(read_recipe(path)) == "fp32"


def test_a_precision() -> None:
    assert recipe_precision(Recipe(Path("r.yaml"), RECIPE)) is None
    text = "network: {family: resnet, depth: 10}\ntraining: {precision: bf16}"
    assert recipe_precision(Recipe(Path("r.yaml"), text)) == "bf16"
    assert build_text(text).solver.max_iter == 320_000
    for wrong in ("half", "16", "[bf16]"):
        said = complaint(text.replace("bf16", wrong))
        assert said.startswith("r.yaml, line 2: training.precision must be one of fp32, tf32, bf16, not ")


def test_what_is_given_is_stronger_than_the_recipe() -> None:
    model = build_text(RECIPE, classes=7, train_images=320, val_images=32, iterations=50, device_batch=8)
    assert (model.solver.max_iter, model.solver.iter_size) == (50, 4)  # and not 2 epochs as well
    assert model.deploy.layer[-2].inner_product_param.num_output == 7
    assert build_text(RECIPE, train_images=320, epochs=4).solver.max_iter == 40
    assert (
        build_text(RECIPE.replace("epochs: 2", "iterations: 30"), epochs=4, train_images=320).solver.max_iter
        == 40
    )


def test_a_recipe_says_all_that_options_can() -> None:
    text = """
    network: {family: resnet, depth: 10, bn_fraction: 0.95, global_stats: true, name: mine,
              lr_mult: ["*=0.5", "score=4"]}
    training:
      lr_policy: multistep
      gamma: 1e-1
      step_epochs: [30, 60.0]
      solver_type: Nesterov
      test_epochs: 2
    """
    model = build_text(text)
    assert (model.train_val.name, model.solver.type) == ("mine", "Nesterov")
    assert (list(model.solver.stepvalue), model.solver.test_interval) == ([150_000, 300_000], 10_000)
    norms = [layer.batch_norm_param for layer in model.train_val.layer if layer.type == "BatchNorm"]
    assert all(norm.use_global_stats for norm in norms)
    assert norms[0].moving_average_fraction == pytest.approx(0.95)
    (score,) = (layer for layer in model.train_val.layer if layer.name == "score")
    assert score.param[0].lr_mult == pytest.approx(2)


def test_a_recipe_and_the_same_options_are_the_same_options() -> None:
    parser = generator_parser("resnet")
    recipe = Recipe(
        Path("r.yaml"), RECIPE.replace("epochs: 2", "epochs: 2, lr_policy: inv, gamma: 1e-4, power: -1")
    )
    typed = (
        "--depth 10 --crop 32 --batch 32 --device-batch 16 --epochs 2 --base-lr 0.1 --lr-policy inv --gamma 1e-4 "
        "--power=-1 --train train_lmdb --val val_lmdb --out m"
    )
    assert recipe_options(recipe, parser, SOURCES) == parser.parse_args(typed.split())


def test_alexnet_and_vgg_have_their_own_options() -> None:
    model = build_text("network: {family: vgg, depth: 11, scale: true}")
    assert "Scale" in {layer.type for layer in model.train_val.layer[5:]}
    assert model.solver.base_lr == pytest.approx(0.01)
    assert build_text("network: {family: alexnet}").solver.iter_size == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network: {depth: 10}", "r.yaml: network.family is missing"),
        ("network: {family: inception}", "line 1: network.family must be one of alexnet, vgg, resnet, not 'inception'"),
        ("network: {family: resnet}", "r.yaml: network.depth is missing: layers: 10, 18, 26, 34, 50, 101 or 152"),
        ("network: {family: resnet, depth: 20}", "r.yaml: network.depth 20 is not known: it is 10, 18"),
        ("network: {family: alexnet, depth: 8}", "line 1: network.depth is no key of a recipe"),
        (RECIPE + "  \nimages: {train: x}", "images.train is no key of a recipe: its sections are network, training"),
        (RECIPE.replace("epochs: 2", "epochs: 2, iterations: 9"),
         "r.yaml: training.epochs and training.iterations say the same in two ways: give one of them"),
        (RECIPE.replace("epochs: 2", "test_interval: 2, test_epochs: 9"),
         "training.test_interval and training.test_epochs say the same"),
        (RECIPE.replace("batch: 32", "batch: 0"), "r.yaml: training.batch must be from 1 to 2,147,483,647, not 0"),
        (RECIPE.replace("batch: 16", "batch: 0"), "r.yaml: training.device_batch must be from 1"),
        (RECIPE.replace("crop: 32", "crop: 1"), "r.yaml: network.crop 1 is too small for resnet10"),
        (RECIPE.replace("epochs: 2", "epochs: 2, gamma: 2"), 'r.yaml: lr_policy "poly" takes no gamma'),
        (RECIPE.replace("epochs: 2", "lr_policy: cosine"), "training.lr_policy must be one of poly, fixed, step"),
        (RECIPE.replace("epochs: 2", "gpu: true"), "training.gpu is no key of a recipe"),
        (RECIPE.replace("base_lr: 0.1", "solver_type: Adam"),
         "r.yaml: training.solver_type Adam needs training.base_lr"),
        (RECIPE.replace("epochs: 2", "epochs: .nan"), "r.yaml: epochs must be more than 0, not nan"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_the_words_of_the_recipe(text: str, message: str) -> None:
    assert message in complaint(text)


def test_warnings_are_in_the_words_of_the_recipe() -> None:
    warnings = build_text(RECIPE, device_batch=8).warnings
    assert any(warning.endswith("or, when fine-tuning, network.global_stats") for warning in warnings)


def test_options_that_were_given_are_called_options() -> None:
    assert complaint(RECIPE, classes=1).startswith("r.yaml: --classes must be from 2")
    assert complaint(RECIPE, device_batch=-1).startswith("r.yaml: --device-batch must be from 1")
