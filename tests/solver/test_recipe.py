"""Reading recipes: types, and a complaint with file, line and full key name for each thing a user gets wrong."""

from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.solver.recipe import LARGEST_BYTES, Key, Recipe, read_recipe

KEYS = {
    "network.family": Key(str, choices=("alexnet", "resnet")),
    "network.depth": Key(int),
    "network.name": Key(str),
    "training.epochs": Key(float),
    "training.batch": Key(int),
    "training.weight_decay": Key(float),
    "training.stepvalue": Key(int, several=True),
    "training.frozen": Key(bool),
}

TEXT = """
# a comment
network:
  family: resnet
  depth: 50
  name: "50"
training:
  epochs: 64
  weight_decay: 1e-4      # a word, for YAML 1.1
  stepvalue: [100, 2_000]
  frozen: true
"""


def recipe(text: str) -> Recipe:
    return Recipe(Path("r.yaml"), text)


def complaint(text: str) -> str:
    with pytest.raises(InputError) as error:
        recipe(text).values(KEYS)
    return str(error.value)


def test_values_have_the_types_of_their_keys() -> None:
    values = recipe(TEXT).values(KEYS)
    assert values == {
        "network.family": "resnet",
        "network.depth": 50,
        "network.name": "50",
        "training.epochs": 64.0,
        "training.weight_decay": 0.0001,
        "training.stepvalue": [100, 2000],
        "training.frozen": True,
    }
    assert [type(value) for value in values.values()] == [str, int, str, float, float, list, bool]
    assert recipe(TEXT).value("network.family", KEYS["network.family"]) == "resnet"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {epoch: 3}", "line 1: training.epoch is no key of a recipe: did you mean training.epochs?"),
        ("network: {zzz: 3}", "line 1: network.zzz is no key of a recipe: in this section there are family, "
         "depth, name"),
        ("network: {epochs: 3}", "line 1: network.epochs is no key of a recipe: did you mean training.epochs?"),
        ("zzz: {q: 3}", "line 1: zzz.q is no key of a recipe: its sections are network, training"),
        ("training:\n  epochs: 1\n  batch: 2\n  epochs: 1\n", "line 4: training.epochs is here twice, first in line 2"),
        ("network: {depth: 1}\nnetwork: {depth: 1}\n", "line 2: network is here twice, first in line 1"),
        ("training:\n  batch: many\n", "line 2: training.batch must be a whole number, not 'many'"),
        ("training: {batch: 25.0}", "training.batch must be a whole number, not '25.0'"),
        ("training: {batch: true}", "training.batch must be a whole number, not 'true'"),
        ("training: {batch: '25'}", "training.batch must be a whole number, not '25'"),
        ("training: {batch: [1]}", "training.batch must be a whole number, not a list or a section"),
        ("training: {batch: }", "training.batch must be a whole number, not 'nothing'"),
        ("training: {batch: !!python/object/apply:os.getcwd []}", "training.batch must be a whole number"),
        ("training: {batch: !!int x}", "training.batch must be a whole number, not 'x'"),
        ("training: {epochs: '64'}", "training.epochs must be a number, not '64'"),
        ("training: {epochs: yes}", "training.epochs must be a number, not 'yes'"),
        ("training: {frozen: 1}", "training.frozen must be true or false, not '1'"),
        ("training: {stepvalue: [1, two]}", "training.stepvalue must be a whole number, not 'two'"),
        ("training: {stepvalue: []}", "training.stepvalue is an empty list: leave it out"),
        ("network: {family: vgg}", "network.family must be one of alexnet, resnet, not 'vgg'"),
        ("network: {name: 50}", "network.name must be a word, not '50'"),
        ("network: 5", "line 1: network must be lines of `key: value`"),
        ("training:\n", "training must be lines of `key: value`"),
        ("- 1", "line 1: the recipe must be lines of `key: value`"),
        ("", "r.yaml: the recipe must be lines of `key: value`"),
        ("{[1]: 2}", "line 1: a key of the recipe is no word"),
        ("a: b: c", "line 1: not YAML: mapping values are not allowed here"),
        ("a: \x00", "not YAML: "),
        ("[" * 20_000, "it is nested too deeply for a recipe"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_file_line_and_key(text: str, message: str) -> None:
    said = complaint(text)
    assert said.startswith("r.yaml")
    assert message in said
    assert "\n" not in said


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InputError, match=r"^r\.yaml: network\.depth is missing$"):
        recipe("network: {family: resnet}").value("network.depth", KEYS["network.depth"])


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml cannot be read: No such file"):
        read_recipe(tmp_path / "none.yaml")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (LARGEST_BYTES + 1))
    with pytest.raises(InputError, match="is larger than 1,048,576 bytes"):
        read_recipe(large)
    large.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is no text in UTF-8"):
        read_recipe(large)
