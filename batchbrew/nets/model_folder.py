"""The folder of a model: train_val.prototxt, deploy.prototxt and solver.prototxt."""

from collections.abc import Sequence
from pathlib import Path

from batchbrew.nets.generation import Model
from batchbrew.proto.text import write_prototxt

TRAIN_VAL, DEPLOY, SOLVER = "train_val.prototxt", "deploy.prototxt", "solver.prototxt"

SOLVER_HEADER = "Paths are seen from the folder in which training is started."


def write_model(folder: Path, model: Model, made_by: str) -> Sequence[Path]:
    """Write the three files, replacing older ones, each in one step; return their paths.

    `made_by`, the command line, is the first line of each.
    """
    contents = (
        (TRAIN_VAL, model.train_val, [made_by]),
        (DEPLOY, model.deploy, [made_by]),
        (SOLVER, model.solver, [made_by, *model.explanation, SOLVER_HEADER]),
    )
    for file, message, header in contents:
        write_prototxt(folder / file, message, header="\n".join(header))
    return [folder / file for file, _, _ in contents]
