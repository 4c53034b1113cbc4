"""The solver that `batchbrew train` trains with: the one that is named, or what a recipe generates."""

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.nets.generation import Model
from batchbrew.nets.model_folder import SOLVER, write_model
from batchbrew.nets.recipes import build_recipe, recipe_precision
from batchbrew.solver.recipe import Recipe, read_recipe

RECIPE = "recipe.yaml"
ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class SolverFile:
    """A solver's file, what there is to tell of it, and the precision that its recipe asks for, if any."""

    path: Path
    notes: Sequence[str] = ()
    precision: str | None = None


@contextmanager
def solver_file(source: Path, options: Mapping[str, object]) -> Iterator[SolverFile]:
    """`source`, or, if that is a recipe, the solver of a model folder that is gone in the end.

    `options` are those that were given beside a recipe, `--train` and so on. Raises InputError for one that does not
    go with `source` or with another one, and for what is wrong in a recipe.
    """
    if source.suffix not in ENDINGS:
        if options:
            raise InputError(
                f"{', '.join(options)}: only for a recipe (.yaml); {source} says itself what and how to train"
            )
        yield SolverFile(source)
        return
    if {"--epochs", "--iterations"} <= options.keys():
        raise InputError("--epochs and --iterations say the same in two ways: give one of them")
    for option, what in (("--train", "train"), ("--val", "validate")):
        if option not in options:
            raise InputError(
                f"{source} is a recipe: add {option} SOURCE, an LMDB or image list to {what} with"
            )
    with tempfile.TemporaryDirectory(prefix="batchbrew-recipe-") as folder:
        recipe = read_recipe(source)
        notes = _write_model(recipe, options, Path(folder))
        yield SolverFile(Path(folder) / SOLVER, notes, recipe_precision(recipe))


def _write_model(recipe: Recipe, options: Mapping[str, object], folder: Path) -> list[str]:
    warnings: list[str] = []
    model = build_recipe(recipe, {**options, "--out": str(folder)}, warnings.append)
    typed = [f"{option}={value}" for option, value in options.items()]
    made_by = shlex.join(["batchbrew", "train", str(recipe.path), *typed])
    notes = write_run_model(folder, model, warnings, made_by)
    write_file(folder / RECIPE, recipe.text)
    return notes


def write_run_model(folder: Path, model: Model, warnings: Sequence[str], made_by: str) -> list[str]:
    """Write the model folder of a run, which decides on its device by itself; return what to tell."""
    model.solver.ClearField("solver_mode")
    write_model(folder, model, made_by)
    return [*model.explanation, *model.notes, *(f"warning: {text}" for text in [*warnings, *model.warnings])]
