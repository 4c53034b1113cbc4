"""The folder of a model: train_val.prototxt, deploy.prototxt and solver.prototxt."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from batchbrew.atomic import write_file
from batchbrew.nets.generation import Model
from batchbrew.proto.text import commented

TRAIN_VAL, DEPLOY, SOLVER = "train_val.prototxt", "deploy.prototxt", "solver.prototxt"

SOLVER_HEADER = "Paths are seen from the folder in which training is started."


def model_texts(model: Model, made_by: str) -> Mapping[str, str]:
    """The contents of the three files, by name. `made_by`, the command line, is the first line of each."""
    return {
        TRAIN_VAL: commented(model.train_val, [made_by, *model.notes]),
        DEPLOY: commented(model.deploy, [made_by, *model.notes, *model.deploy_notes]),
        SOLVER: commented(model.solver, [made_by, *model.explanation, SOLVER_HEADER]),
    }


def write_model(folder: Path, model: Model, made_by: str) -> Sequence[Path]:
    """Write the three files, replacing older ones, each in one step; return their paths."""
    texts = model_texts(model, made_by)
    for file, text in texts.items():
        write_file(folder / file, text)
    return [folder / file for file in texts]
