"""The command line: one command a function, no logic. Each imports what it needs when it is called."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="BatchBrew: Caffe's batch-normalised ImageNet networks, from photographs to a caffemodel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
lmdb_app = typer.Typer(help="LMDBs of photographs: build, look at, verify.", no_args_is_help=True)
app.add_typer(lmdb_app, name="lmdb")

CaffePythonOption = Annotated[
    Path | None,
    typer.Option("--caffe-python", help="Python in which `import caffe` works (or $BATCHBREW_CAFFE_PYTHON)."),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        help="Which Caffe computes: torch, ours on PyTorch, or bvlc, a real one (default: the run's, or torch)."
    ),
]

GpuOption = Annotated[
    str | None, typer.Option(help="GPU to compute on, 0 for the first (default: what there is).")
]
CpuOption = Annotated[bool, typer.Option("--cpu", help="Compute on the CPU.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(help="fp32, tf32 or bf16 (default: the run's, the recipe's, or fp32; --engine torch)."),
]
ShuffleOption = Annotated[
    bool, typer.Option("--shuffle", help="Draw a new order of the images for each epoch (--engine torch).")
]


def _version(asked: bool) -> None:
    if asked:
        from batchbrew import __version__

        print(f"batchbrew {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def generate(context: typer.Context) -> None:
    """Write the prototxt files of an AlexNet, VGG or ResNet: `batchbrew generate alexnet|vgg|resnet --help`."""
    from batchbrew.nets.command import generate_family

    sys.exit(generate_family(context.args, prog="batchbrew generate"))


@app.command()
def train(
    solver: Annotated[
        Path | None, typer.Argument(help="solver.prototxt, as a generator writes it, or a recipe, .yaml.")
    ] = None,
    train: Annotated[str | None, typer.Option(help="A recipe's images: LMDB or list.")] = None,
    val: Annotated[str | None, typer.Option(help="A recipe's images to validate with.")] = None,
    image_root: Annotated[str | None, typer.Option(help="Where the paths of lists begin.")] = None,
    val_image_root: Annotated[str | None, typer.Option(help="The same for --val alone.")] = None,
    classes: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Instead of the recipe's epochs.")] = None,
    device_batch: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run folder (default: logs/NAME-TIME).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --run.")] = False,
    weights: Annotated[
        list[Path] | None, typer.Option(help="Begin with these weights, by layer name.")
    ] = None,
    gpu: GpuOption = None,
    cpu: CpuOption = False,
    seed: Annotated[int | None, typer.Option(help="Seed (default: the solver's, else a new one).")] = None,
    shuffle: ShuffleOption = False,
    precision: PrecisionOption = None,
    max_restarts: Annotated[int, typer.Option(min=0, help="Restarts after a divergence.")] = 5,
    engine: EngineOption = None,
    caffe_python: CaffePythonOption = None,
) -> None:
    """Train a network; restart by itself from the last good snapshot when training diverges.

    Example: `batchbrew train models/resnet10/solver.prototxt --run logs/resnet10`,
    or `batchbrew train solvers/resnet10.yaml --train data/train_lmdb --val data/val_lmdb --run logs/resnet10`,
    and after any interruption: `batchbrew train --resume --run logs/resnet10`
    """
    from rich.console import Console

    from batchbrew.training import commands

    commands.train(
        solver, run=run, resume=resume, weights=weights or [], gpu=gpu, cpu=cpu, seed=seed, shuffle=shuffle,
        precision=precision, max_restarts=max_restarts, engine=engine, caffe_python=caffe_python, console=Console(),
        for_recipe={
            "--train": train, "--val": val, "--image-root": image_root, "--val-image-root": val_image_root,
            "--classes": classes, "--epochs": epochs, "--iterations": iterations, "--device-batch": device_batch,
        },
    )  # fmt: skip


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def finetune(
    context: typer.Context,
    weights: Annotated[Path, typer.Option(help="The .caffemodel to begin with.")],
    net: Annotated[
        str, typer.Option(help="Its network: alexnet, vgg16, resnet50, resnet50-he, vgg16-original ...")
    ],
    classes: Annotated[int, typer.Option(help="Classes of the new images.")],
    global_stats: Annotated[
        bool, typer.Option(help="Keep the BatchNorm statistics of the weights, or collect new ones.")
    ] = True,
    run: Annotated[Path | None, typer.Option(help="Run folder (default: logs/NAME-TIME).")] = None,
    gpu: GpuOption = None,
    cpu: CpuOption = False,
    seed: Annotated[int | None, typer.Option(help="Seed (default: 0).")] = None,
    shuffle: ShuffleOption = False,
    precision: PrecisionOption = None,
    max_restarts: Annotated[int, typer.Option(min=0, help="Restarts after a divergence.")] = 5,
    engine: EngineOption = None,
    caffe_python: CaffePythonOption = None,
) -> None:
    """Fine-tune a network: a new classifier at ten times the rate, a short linear decay, then a test.

    All options of `batchbrew generate FAMILY` go too: `--train` and `--val` are needed; `--epochs` is 10,
    `--base-lr` 0.001, `--batch` 32 and `--device-batch` 16 if they are not given.

    Example: `batchbrew finetune --weights resnet50_cvgj.caffemodel --net resnet50 --classes 200
    --train data/train_lmdb --val data/val_lmdb --run logs/birds`
    """
    from rich.console import Console

    from batchbrew.training import commands

    commands.finetune(
        net, weights, classes, global_stats=global_stats, generator_options=context.args, run=run, gpu=gpu,
        cpu=cpu, seed=seed, shuffle=shuffle, precision=precision, max_restarts=max_restarts, engine=engine,
        caffe_python=caffe_python, console=Console(),
    )  # fmt: skip


@app.command()
def test(
    net: Annotated[Path | None, typer.Argument(help="train_val.prototxt, with test data in it.")] = None,
    weights: Annotated[Path | None, typer.Option(help="The .caffemodel to test.")] = None,
    run: Annotated[Path | None, typer.Option(help="Test the newest good snapshot of this run.")] = None,
    val: Annotated[str | None, typer.Option(help="Test data instead of the net's own.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Test that many images (default: all).")] = None,
    gpu: GpuOption = None,
    cpu: CpuOption = False,
    precision: Annotated[str, typer.Option(help="fp32, tf32 or bf16 (--engine torch).")] = "fp32",
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    engine: EngineOption = None,
    caffe_python: CaffePythonOption = None,
) -> None:
    """Measure the test error: single centre crop, top-1, and top-5 where there are more than five classes.

    Example: `batchbrew test --run logs/resnet10`, or
    `batchbrew test models/resnet10/train_val.prototxt --weights resnet10_iter_320000.caffemodel`
    """
    from rich.console import Console

    from batchbrew.training import commands

    commands.test(
        net, run=run, weights=weights, val=val, images=images, gpu=gpu, cpu=cpu, precision=precision,
        engine=engine, caffe_python=caffe_python, as_json=as_json, console=Console(),
    )  # fmt: skip


@app.command()
def plot(
    logs: Annotated[list[Path], typer.Argument(help="Caffe logs (train.log), one or several.")],
    out: Annotated[Path, typer.Option(help="The picture: .png, .svg or .pdf.")] = Path("convergence.png"),
    output: Annotated[str | None, typer.Option(help="Name of the test output that is top-1.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the picture.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="A name for each log, in their order.")] = None,
    top5: Annotated[bool, typer.Option("--top5", help="The top-5 error too, dashed.")] = False,
    loss: Annotated[bool, typer.Option("--loss", help="The training loss too.")] = False,
) -> None:
    """Draw top-1 error and learning rate against iteration, from any Caffe log.

    Example: `batchbrew plot logs/resnet10/train.log --out resnet10.png`
    """
    from batchbrew.training.plot import plot as draw

    draw(logs, out, output=output, title=title, labels=label, top5=top5, loss=loss)


@app.command()
def summary(
    net: Annotated[Path, typer.Argument(help="Prototxt of a network, or of a solver.")],
    phase: Annotated[str, typer.Option(help="TRAIN or TEST: which of its layers are there.")] = "TRAIN",
    batch: Annotated[int | None, typer.Option(help="Images at a time, instead of the net's own.")] = None,
    size: Annotated[str | None, typer.Option(help="H,W of the images, instead of the net's own.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="BLOB=N,C,H,W, for what the prototxt does not tell.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text, markdown or json.")] = "text",
) -> None:
    """List a network's layers: output shapes, parameters, multiply-adds and memory for each image, and the totals.

    Example: `batchbrew summary models/resnet50/deploy.prototxt --size 320,320`
    """
    from rich.console import Console

    from batchbrew.summary import summary as summarise

    summarise(net, phase=phase, batch=batch, size=size, shapes=shape or [], form=form, console=Console())


@app.command()
def view(
    net: Annotated[Path, typer.Argument(help="Prototxt of a network, or of a solver.")],
    port: Annotated[int | None, typer.Option(help="Port to serve at (default: 8080).")] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser, or only serve.")] = True,
) -> None:
    """Show a network as a graph in the browser, with netron (`pip install netron`).

    Example: `batchbrew view models/resnet50/deploy.prototxt`
    """
    from batchbrew.view import view as show

    show(net, port=port, browser=browser)


@app.command()
def lint(
    files: Annotated[list[Path] | None, typer.Argument(help="Nets and solvers, as prototxt.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    ignore: Annotated[list[str] | None, typer.Option(help="A rule not to speak of; may be repeated.")] = None,
    list_rules: Annotated[
        bool, typer.Option("--list-rules", help="Say what is looked for, and end.")
    ] = False,
) -> None:
    """Find what is wrong with a net, or with a solver and its nets; exit 1 if Caffe would fail or compute wrongly.

    Example: `batchbrew lint models/resnet50/solver.prototxt`
    """
    from rich.console import Console

    from batchbrew.lint import command

    failed = command.lint(
        files or [], output_format=output_format, strict=strict, ignore=ignore or [], list_rules=list_rules,
        console=Console(soft_wrap=True, highlight=False),
    )  # fmt: skip
    sys.exit(failed)


@app.command()
def parity(
    rounds: Annotated[int, typer.Option(min=1, help="Configurations of each type.")] = 20,
    types: Annotated[
        str | None, typer.Option(help="Layer types and nets, with commas (default: all).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other configurations.")] = 1,
    number: Annotated[int | None, typer.Option(min=0, help="Only this case, of one type.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Go on with new seeds for so long (inf: until interrupted).")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was found there.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the folders of broken cases there, and that of --number.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--write-table", help="Put the table between the marks of this page.")
    ] = None,
    layer_by_layer: Annotated[
        bool, typer.Option("--layer-by-layer", help="Without what the torch engine computes at once.")
    ] = False,
    precision: Annotated[str, typer.Option(help="Of the torch engine: fp32 or bf16.")] = "fp32",
    caffe_python: CaffePythonOption = None,
) -> None:
    """Run random layers and nets in real Caffe and in the torch engine; exit 1 where the numbers differ.

    Example: `batchbrew parity --types Pooling,LRN --rounds 50`, or for an hour: `batchbrew parity --seconds 3600`
    """
    from rich.console import Console

    from batchbrew.parity import command

    broken = command.parity(
        rounds=rounds, types=types.split(",") if types else [], seed=seed, number=number, seconds=seconds,
        json_file=json_file, keep=keep, table=table, caffe_python=caffe_python, console=Console(soft_wrap=True),
        layer_by_layer=layer_by_layer, precision=precision,
    )  # fmt: skip
    sys.exit(broken)


@app.command()
def doctor(caffe_python: CaffePythonOption = None) -> None:
    """Say which engines, GPUs, libraries there are, and what to do about each that is missing.

    Exits 1 when something is missing that training needs. Example: `batchbrew doctor`
    """
    from batchbrew.doctor import report

    sys.exit(report(caffe_python))


@lmdb_app.command("build")
def lmdb_build(
    out: Annotated[Path, typer.Option(help="The LMDB to make, a folder.")],
    images: Annotated[Path | None, typer.Option(help="Where the paths of --list begin.")] = None,
    list_file: Annotated[Path | None, typer.Option("--list", help="Lines of: PATH LABEL.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Instead of a list: a folder for each class.")] = None,
    classes: Annotated[Path | None, typer.Option(help="Class names, one a line, in label order.")] = None,
    short_side: Annotated[int, typer.Option(help="Pixels of the shorter side; the aspect is kept.")] = 256,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 95,
    seed: Annotated[int, typer.Option(help="Seed of the shuffle.")] = 0,
    shuffle: Annotated[bool, typer.Option(help="Shuffle, or keep the order of the list.")] = True,
    workers: Annotated[int | None, typer.Option(help="Threads (default: one for each core).")] = None,
    max_bad: Annotated[int | None, typer.Option(help="Unreadable images to put up with.")] = None,
) -> None:
    """Build an LMDB of JPEGs from photographs.

    Example: `batchbrew lmdb build --folder photos/train --out data/train_lmdb`
    """
    from batchbrew.dataset.commands.build import build

    build(
        out, images=images, list_file=list_file, folder=folder, classes_file=classes, short_side=short_side,
        quality=quality, seed=seed, shuffle=shuffle, workers=workers, max_bad=max_bad,
    )  # fmt: skip


@lmdb_app.command("info")
def lmdb_info(db: Path) -> None:
    """Say how many images of which sizes and labels an LMDB holds. Example: `batchbrew lmdb info data/train_lmdb`"""
    from batchbrew.dataset.commands.info import info

    info(db)


@lmdb_app.command("verify")
def lmdb_verify(db: Path) -> None:
    """Read and decode every record of an LMDB. Example: `batchbrew lmdb verify data/train_lmdb`"""
    from batchbrew.dataset.commands.verify import verify

    verify(db)


@lmdb_app.command("show")
def lmdb_show(
    db: Path,
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("lmdb.png"),
    count: Annotated[int, typer.Option(min=1, help="How many records.")] = 25,
) -> None:
    """Draw records of an LMDB on one sheet. Example: `batchbrew lmdb show data/train_lmdb --out sheet.png`"""
    from batchbrew.dataset.commands.show import show

    show(db, out, count)
