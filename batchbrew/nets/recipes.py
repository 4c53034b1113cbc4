"""From a recipe (`solvers/*.yaml`) to what the generator of its family does with the same options.

The keys of a recipe are the options of its family's generator with underscores: `--device-batch` of the group
"training" is `training.device_batch`. So whatever a generator can do a recipe can, and by the same way. One key more,
`training.precision`, is about the run: no prototxt has a field for it.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from batchbrew.errors import InputError
from batchbrew.nets.command import generator_parser, requested_model
from batchbrew.nets.families import FAMILIES
from batchbrew.nets.generation import Model
from batchbrew.nets.requests import Warn
from batchbrew.solver.precision import PRECISIONS
from batchbrew.solver.recipe import Key, Recipe

SECTIONS = ("network", "training")
FAMILY = "network.family"
PRECISION = "training.precision"
PRECISION_KEY = Key(str, choices=PRECISIONS)
# On which device is a matter of the single run.
NOT_IN_RECIPES = ("--gpu", "--cpu")


Given = Mapping[str, object]  # by option, `--classes`; None: not given


def build_recipe(recipe: Recipe, given: Given, warn: Warn) -> Model:
    """What the generator of the recipe's family makes of it; what is `given` is stronger than the recipe.

    `given` has at least --train, --val and --out. Raises InputError for what is wrong in the recipe, in the words of
    the recipe, and for what the generator refuses.
    """
    family = str(recipe.value(FAMILY, Key(str, choices=list(FAMILIES))))
    parser = generator_parser(family)
    options = recipe_options(recipe, parser, given)

    def in_keys(message: str) -> str:
        return _in_keys(message, parser, given)

    try:
        _, model = requested_model(family, options, lambda text: warn(in_keys(text)))
    except InputError as error:
        raise InputError(f"{recipe.path}: {in_keys(str(error))}") from error
    return replace(model, warnings=[*map(in_keys, model.warnings)], notes=[*map(in_keys, model.notes)])


def recipe_precision(recipe: Recipe) -> str | None:
    """One of PRECISIONS, None where the recipe says nothing. Raises InputError for anything else."""
    precision = recipe.optional(PRECISION, PRECISION_KEY)
    return None if precision is None else str(precision)


def recipe_options(recipe: Recipe, parser: argparse.ArgumentParser, given: Given) -> argparse.Namespace:
    """The options of `parser`, its family's, as the recipe has them, and what is `given`.

    Raises InputError for what Recipe.values refuses, for one thing said in two ways, and for an option that is
    needed and not there.
    """
    actions = dict(_keyed(parser))
    of_generator = {key: _key(action) for key, action in actions.items()}
    values = recipe.values({FAMILY: Key(str), PRECISION: PRECISION_KEY, **of_generator})
    values = {key: value for key, value in values.items() if key in of_generator}
    _refuse_contradictions(recipe, parser, actions, list(values))
    stronger = {action.dest: given[option] for action in parser._actions for option in _given(action, given)}
    arguments = [
        argument
        for key, value in values.items()
        if not _rivals(parser, actions[key]) & stronger.keys()
        for argument in _arguments(actions[key], value)
    ]
    for action in parser._actions:
        arguments += [] if action.dest not in stronger else _arguments(action, stronger[action.dest])
    _refuse_missing(recipe, actions, list(values), stronger)
    return parser.parse_args(arguments)


def _in_keys(message: str, parser: argparse.ArgumentParser, given: Given) -> str:
    """`message`, which speaks of options, in the words of a recipe; options that were `given` stay options."""
    for key, action in _keyed(parser):
        if not list(_given(action, given)):
            message = re.sub(rf"{action.option_strings[-1]}(?![\w-])", key, message)
    return message


def _keyed(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """The options that a recipe may have, by key. (argparse has groups and their members in no public list.)"""
    for group in parser._action_groups:
        if group.title in SECTIONS:
            for action in group._group_actions:
                option = action.option_strings[-1]
                if option not in NOT_IN_RECIPES:
                    yield f"{group.title}.{option.lstrip('-').replace('-', '_')}", action


def _key(action: argparse.Action) -> Key:
    several = isinstance(action, argparse._AppendAction)
    if isinstance(action, argparse._StoreTrueAction):
        return Key(bool)
    if action.type is int:
        return Key(int, several=several)
    if action.type is float:
        return Key(float, several=several)
    assert action.type is None, action.option_strings
    return Key(str, choices=tuple(action.choices or ()), several=several)


def _given(action: argparse.Action, given: Given) -> Iterator[str]:
    return (option for option in action.option_strings if given.get(option) is not None)


def _rivals(parser: argparse.ArgumentParser, action: argparse.Action) -> set[str]:
    """The option itself and those that say the same in another way."""
    rivals = {action.dest}
    for group in parser._mutually_exclusive_groups:
        if action in group._group_actions:
            rivals |= {other.dest for other in group._group_actions}
    return rivals


def _refuse_contradictions(
    recipe: Recipe,
    parser: argparse.ArgumentParser,
    actions: Mapping[str, argparse.Action],
    present: list[str],
) -> None:
    for group in parser._mutually_exclusive_groups:
        said = [key for key in present if actions[key] in group._group_actions]
        if len(said) > 1:
            raise InputError(
                f"{recipe.path}: {' and '.join(said)} say the same in two ways: give one of them"
            )


def _refuse_missing(
    recipe: Recipe, actions: Mapping[str, argparse.Action], present: list[str], stronger: Mapping[str, object]
) -> None:
    for key, action in actions.items():
        if action.required and key not in present and action.dest not in stronger:
            raise InputError(f"{recipe.path}: {key} is missing: {action.help}")


def _arguments(action: argparse.Action, value: object) -> list[str]:
    """`value` as it would be typed."""
    option = action.option_strings[-1]
    if isinstance(value, bool):
        return [option] if value else []
    values = value if isinstance(value, list) else [value]
    return [f"{option}={item}" for item in values]
