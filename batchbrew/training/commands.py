"""What `batchbrew train`, `finetune` and `test` do, between their options and the supervisor."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.solver.precision import DEFAULT_PRECISION
from batchbrew.training.beginning import Choices, begin_run, create, resume_run
from batchbrew.training.device import Device, asked_device, available_device
from batchbrew.training.display import Display
from batchbrew.training.engines import DEFAULT_ENGINE, Engine, find_engine
from batchbrew.training.evaluation import TestResult, evaluate
from batchbrew.training.finetuning import finetuning_solver
from batchbrew.training.plot import plot_convergence
from batchbrew.training.precision import check_precision
from batchbrew.training.recipe_model import SolverFile
from batchbrew.training.run_folder import RunFolder, engine_of_run, look_at_run
from batchbrew.training.supervisor import Supervisor


def train(
    solver: Path | None,
    *,
    run: Path | None,
    resume: bool,
    weights: list[Path],
    gpu: str | None,
    cpu: bool,
    seed: int | None,
    shuffle: bool = False,
    precision: str | None = None,
    max_restarts: int,
    engine: str | None,
    caffe_python: Path | None,
    console: Console,
    for_recipe: Mapping[str, object] | None = None,
) -> None:
    """Begin or resume a run and follow it to its end.

    `solver` is a solver.prototxt or a recipe; `for_recipe` are the options beside a recipe, as solver_file takes them.
    """
    used = _engine(engine, run if resume else None, caffe_python)
    given = {option: value for option, value in (for_recipe or {}).items() if value is not None}
    choices = Choices(run, weights, gpu, cpu, seed, shuffle, precision)
    folder, notes = (resume_run if resume else begin_run)(solver, choices, given, used)
    _say(notes, console)
    _follow(folder, used, max_restarts, console)


def finetune(
    net: str,
    weights: Path,
    classes: int,
    *,
    global_stats: bool,
    generator_options: Sequence[str],
    run: Path | None,
    gpu: str | None,
    cpu: bool,
    seed: int | None,
    shuffle: bool = False,
    precision: str | None = None,
    max_restarts: int,
    engine: str | None,
    caffe_python: Path | None,
    console: Console,
) -> None:
    """Generate a net with a new classifier, train it from `weights`, and test it; see finetuning_solver."""
    used = _engine(engine, None, caffe_python)
    choices = Choices(run, [weights], gpu, cpu, seed, shuffle, precision)
    choices.check()
    with finetuning_solver(net, weights, classes, global_stats=global_stats, options=generator_options) as (
        file,
        notes,
    ):
        folder, more = create(SolverFile(file), choices, used)
    _say([*notes, *more], console)
    _follow(folder, used, max_restarts, console)
    test(
        None, run=folder.root, weights=None, val=None, images=None, gpu=None, cpu=False, engine=engine,
        caffe_python=caffe_python, as_json=False, console=console,
    )  # fmt: skip


def _follow(folder: RunFolder, engine: Engine, max_restarts: int, console: Console) -> None:
    """Train to the end, and draw the curve."""
    with folder:
        console.print(f"Run folder: {folder.root}", soft_wrap=True)
        with Display(console) as display:
            final = Supervisor(folder, engine, display, max_restarts=max_restarts).run()
        console.print(
            f"Trained to iteration {final.iteration}: {folder.ledger.folder / final.model}", soft_wrap=True
        )
        try:
            text = plot_convergence([folder.log], folder.root / "convergence.png", title=folder.name).text
        except InputError as error:  # a solver with `display: 0` and no test, say: trained all the same
            text = f"No curve was drawn: {error}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _engine(name: str | None, run: Path | None, caffe_python: Path | None) -> Engine:
    """The engine that was asked for, if only by naming a Caffe; else that of the run; else the default."""
    if name is None and caffe_python is not None:
        name = "bvlc"
    if name is None:
        name = None if run is None else engine_of_run(run)
    return find_engine(name or DEFAULT_ENGINE, caffe_python)


def _say(notes: Sequence[str], console: Console) -> None:
    console.print("\n".join(notes), markup=False, highlight=False, soft_wrap=True, end="\n" if notes else "")


def test(
    net: Path | None,
    *,
    run: Path | None,
    weights: Path | None,
    val: str | None,
    images: int | None,
    gpu: str | None,
    cpu: bool,
    precision: str = DEFAULT_PRECISION,
    engine: str | None,
    caffe_python: Path | None,
    as_json: bool,
    console: Console,
) -> None:
    """Test a caffemodel, or the newest good snapshot of a run, and print its errors."""
    used = _engine(engine, run, caffe_python)
    working_directory = None
    if run is not None:
        if net is not None or weights is not None:
            raise InputError("--run names net and weights itself: leave NET and --weights out, or --run")
        net, weights, working_directory = _of_run(run)
    if net is None or weights is None:
        raise InputError(
            "name what to test: batchbrew test NET.prototxt --weights W.caffemodel, or --run DIR"
        )
    device = asked_device(used, gpu=gpu, cpu=cpu) or _test_device(run, used)
    for note in filter(None, [device.note, *check_precision(precision, used, device.gpu)]):
        print(note, file=sys.stderr)
    columns = (TextColumn("testing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("", total=None)
        result = evaluate(
            net, weights, used, gpu=device.gpu, precision=precision, images=images,
            source=None if val is None else str(Path(val).absolute()), working_directory=working_directory,
            on_progress=lambda done, of: progress.update(task, completed=done, total=of),
        )  # fmt: skip
    if result.untrained:
        print(
            f"warning: {weights} holds no weights for {', '.join(result.untrained)}: left as their fillers say",
            file=sys.stderr,
        )
    text = json.dumps({"net": str(net), "weights": str(weights), **asdict(result)}, indent=2)
    console.print(
        text if as_json else _sentences(result, weights), markup=False, highlight=False, soft_wrap=True
    )
    if run is not None:
        write_file(run / "test.json", text + "\n")


def _test_device(run: Path | None, engine: Engine) -> Device:
    """Where to test, as nothing was asked for: where the run trains, if that can be; else where one can."""
    gpu: int | None = 0
    if run is not None:
        with look_at_run(run) as folder:
            gpu = folder.settings.gpu
    return Device(None) if gpu is None else available_device(engine, gpu)


def _of_run(root: Path) -> tuple[Path, Path, Path]:
    """Net, newest good weights and working directory of a run."""
    with look_at_run(root) as folder:
        good = folder.ledger.good()
        if not good:
            raise InputError(f"{root} has no good snapshot yet: train on, or look at {folder.log}")
        solver = folder.solver
        net = solver.test_net[0] if solver.test_net else solver.net
        if not net:
            raise InputError(f"{folder.solver_file} names no net with test data: name one, and --weights")
        return root / Path(net).name, folder.ledger.folder / good[0].model, folder.working_directory


def _sentences(result: TestResult, weights: Path) -> str:
    lines = [
        f"{weights.name}, {result.images:,} images, {result.classes} classes, one centre crop each:",
        f"  top-1 error            {result.top1_error:7.2%}",
    ]
    if result.top5_error is not None:
        lines.append(f"  top-5 error            {result.top5_error:7.2%}")
    lines.append(
        f"  always the commonest   {result.majority_error:7.2%}   (error of guessing the commonest label)"
    )
    return "\n".join(lines)
