"""How a run begins or goes on: which weights, device, precision, seed and folder it gets of what was asked for."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from batchbrew.dataset.shards import lmdbs_in
from batchbrew.errors import InputError
from batchbrew.lint.linter import lint_file
from batchbrew.nets.shapes import ShapeError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.text import read_prototxt
from batchbrew.solver.precision import DEFAULT_PRECISION
from batchbrew.training.device import asked_device, device_of_solver
from batchbrew.training.engines import Engine
from batchbrew.training.precision import check_precision
from batchbrew.training.recipe_model import SolverFile, solver_file
from batchbrew.training.run_folder import RunFolder, RunSettings, create_run, new_seed, open_run
from batchbrew.training.supervisor import MAX_SEED
from batchbrew.training.weights import match_weights


@dataclass(frozen=True)
class Choices:
    """What was asked for beside the solver: options of the command line, None or empty where not given."""

    run: Path | None = None
    weights: Sequence[Path] = ()
    gpu: str | None = None
    cpu: bool = False
    seed: int | None = None
    shuffle: bool = False
    precision: str | None = None

    def check(self) -> None:
        """Raise InputError for weights that are not there and a seed that cannot be meant."""
        for path in self.weights:
            if not path.is_file():
                raise InputError(f"{path} is not there: --weights takes a .caffemodel")
        if self.seed is not None and not 0 <= self.seed < MAX_SEED:
            raise InputError(f"--seed {self.seed}: choose one from 0 to {MAX_SEED - 1}")


def resume_run(
    solver: Path | None, choices: Choices, for_recipe: Mapping[str, object], engine: Engine
) -> tuple[RunFolder, list[str]]:
    """Open a run to go on with, in which device, engine and precision may be other ones; and what to tell."""
    run = choices.run
    if run is None:
        raise InputError("--resume needs --run DIR: the folder of the run to go on with")
    given = {
        "SOLVER": solver, "--weights": choices.weights or None, "--seed": choices.seed,
        "--shuffle": choices.shuffle or None, **for_recipe,
    }  # fmt: skip
    if names := [name for name, value in given.items() if value is not None]:
        raise InputError(
            f"--resume goes on with what {run} was begun with: leave out {' and '.join(names)} "
            f"(what may change, max_iter or base_lr say, is changed in {run / 'solver.prototxt'})"
        )
    device = asked_device(engine, gpu=choices.gpu, cpu=choices.cpu)
    with ExitStack() as stack:
        folder = stack.enter_context(open_run(run))
        settings = folder.settings
        if settings.shuffle and not engine.skips_unread:
            raise InputError(
                f"{run} is a run with --shuffle, which needs --engine torch: go on with that, or begin a new run with "
                "--weights and this one's newest snapshot"
            )
        gpu = settings.gpu if device is None else device.gpu
        precision = choices.precision or settings.precision
        notes = check_precision(precision, engine, gpu)
        folder.change(gpu=gpu, engine=engine.name, precision=precision)
        stack.pop_all()
    return folder, notes


def begin_run(
    solver: Path | None, choices: Choices, for_recipe: Mapping[str, object], engine: Engine
) -> tuple[RunFolder, list[str]]:
    """Make the run folder of a solver or recipe; and what to tell."""
    if solver is None:
        raise InputError(
            "no solver is named: batchbrew train SOLVER.prototxt or RECIPE.yaml (or --resume --run DIR)"
        )
    choices.check()
    with solver_file(solver, for_recipe) as file:
        matches = _matches(file.path, choices.weights)  # before anything is made
        folder, notes = create(file, choices, engine)
    return folder, [*file.notes, *matches, *notes]


def create(file: SolverFile, choices: Choices, engine: Engine) -> tuple[RunFolder, list[str]]:
    """Make the run folder of a solver; and what to tell about device and precision."""
    solver = file.path
    parameters = read_prototxt(solver, caffe_pb2.SolverParameter)
    _check_order(choices.shuffle, engine)
    _check_sources(parameters, engine)
    _check_labels(solver)
    seed = choices.seed
    if seed is None:
        seed = parameters.random_seed if parameters.random_seed >= 0 else new_seed()
    device = asked_device(engine, gpu=choices.gpu, cpu=choices.cpu) or device_of_solver(parameters, engine)
    precision = choices.precision or file.precision or DEFAULT_PRECISION
    notes = [*([device.note] if device.note else []), *check_precision(precision, engine, device.gpu)]
    settings = RunSettings(
        seed=seed,
        gpu=device.gpu,
        working_directory=str(Path.cwd()),
        weights=tuple(str(path.resolve()) for path in choices.weights),
        engine=engine.name,
        shuffle=choices.shuffle,
        precision=precision,
    )
    name = Path(parameters.snapshot_prefix).name or solver.stem
    root = choices.run or Path("logs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    return create_run(root, solver, settings), notes


def _check_order(shuffle: bool, engine: Engine) -> None:
    if shuffle and not engine.skips_unread:
        raise InputError(
            f"--shuffle needs --engine torch: the data layers of {engine.name} read in one order "
            "(leave it out; what `batchbrew lmdb build` makes is shuffled once)"
        )


def _check_sources(solver: caffe_pb2.SolverParameter, engine: Engine) -> None:
    """Real Caffe's data layers open one LMDB each; ours take a folder of them, too."""
    file = Path(solver.net or solver.train_net)
    if engine.skips_unread or not file.is_file():
        return
    for layer in read_prototxt(file, caffe_pb2.NetParameter).layer:
        source = Path(layer.data_param.source)
        if layer.type == "Data" and list(lmdbs_in(source)) != [source]:
            raise InputError(
                f"{file}: layer {layer.name} reads {source}, a set of LMDBs, which needs --engine torch: {engine.name} "
                "reads single ones (name one, or build one of all images)"
            )


def _check_labels(solver: Path) -> None:
    """Refuse labels that the classifier has no output for: Caffe would train on numbers beyond the scores."""
    for finding in lint_file(solver):
        if finding.rule == "labels":
            raise InputError(
                f"{finding.file}: {finding.layer}: {finding.what} ({finding.fix}, or take other data)"
            )


def _matches(solver: Path, weights: Sequence[Path]) -> list[str]:
    """What each of the weights fills in the solver's training net; see match_weights."""
    if not weights:
        return []
    parameters = read_prototxt(solver, caffe_pb2.SolverParameter)
    file = parameters.net or parameters.train_net
    if not file:
        return []  # create_run refuses it
    net = read_prototxt(file, caffe_pb2.NetParameter)
    try:
        return [f"{path}: {match_weights(net, path)}" for path in weights]
    except ShapeError as error:  # a Python layer, say; Caffe itself compares them then
        return [f"warning: whether the weights fit is not known beforehand: {error}"]
