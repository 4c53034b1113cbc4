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
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace what is there, when the new one is whole.")
]
DbArgument = Annotated[Path, typer.Argument(help="The LMDB, or a folder of LMDBs that are one set.")]
OutArgument = Annotated[Path, typer.Argument(help="The LMDB to make.")]
RewriteSeedOption = Annotated[int, typer.Option(min=0, help="Another seed, another draw.")]


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
    folder: Annotated[Path | None, typer.Option(help="Source: a folder for each class.")] = None,
    list_file: Annotated[Path | None, typer.Option("--list", help="Source: lines of PATH LABEL.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Source: a table with columns path and label.")] = None,
    images: Annotated[Path | None, typer.Option(help="Where the paths of --list or --csv begin.")] = None,
    ilsvrc_train: Annotated[
        Path | None, typer.Option(help="Source: ILSVRC2012_img_train.tar, or a folder of what is in it.")
    ] = None,
    ilsvrc_val: Annotated[
        Path | None, typer.Option(help="Source: ILSVRC2012_img_val.tar, or a folder of its images.")
    ] = None,
    devkit: Annotated[
        Path | None, typer.Option(help="For --ilsvrc-val: ILSVRC2012_devkit_t12, the folder or the .tar.gz.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="For --ilsvrc-val: val.txt, LOC_val_solution.csv, or the kit's ground truth."),
    ] = None,
    tar: Annotated[
        Path | None, typer.Option(help="Source: a tar archive with a folder, or an archive, for each class.")
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="Class names, one a line, in label order.")] = None,
    mode: Annotated[
        str,
        typer.Option(
            help="short: short side, aspect kept; squash, crop, pad: to a square; none: as they are."
        ),
    ] = "short",
    side: Annotated[
        int | None,
        typer.Option(
            "--side", "--short-side", help="Pixels of the short side, or of the square (default: 256)."
        ),
    ] = None,
    enlarge: Annotated[
        bool, typer.Option("--enlarge", help="Enlarge smaller images, too (short, pad).")
    ] = False,
    gray: Annotated[bool, typer.Option("--gray", help="Store one channel.")] = False,
    exif_orientation: Annotated[
        str, typer.Option(help="ignore, as published numbers had it, or apply.")
    ] = "ignore",
    encoding: Annotated[str, typer.Option(help="jpeg, png or raw pixels.")] = "jpeg",
    quality: Annotated[int | None, typer.Option(help="JPEG quality, 1 to 100 (default: 95).")] = None,
    recompress: Annotated[
        bool, typer.Option("--recompress", help="Code anew also what has the right size.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the shuffle (default: 0).")] = None,
    shuffle: Annotated[bool, typer.Option(help="Shuffle, or keep the order of the source.")] = True,
    workers: Annotated[int | None, typer.Option(help="Threads (default: one for each core).")] = None,
    shards: Annotated[
        int | None, typer.Option(help="Make so many LMDBs, in one folder, that are one set.")
    ] = None,
    shard: Annotated[int | None, typer.Option(help="Make only this one of --shards, from 0.")] = None,
    max_bad: Annotated[
        int | None, typer.Option(help="End when more images cannot be used (default: any number may).")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End at the first unusable image: --max-bad 0.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted build.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an LMDB when the new one is whole; drop a partial one.")
    ] = False,
    space_check: Annotated[bool, typer.Option(help="Estimate first whether the disk has room.")] = True,
) -> None:
    """Build an LMDB from photographs, on all cores; after any interruption, go on with --resume.

    Examples: `batchbrew lmdb build --folder photos/train --out data/train_lmdb`

    `batchbrew lmdb build --images photos --list train.txt --out data/train_lmdb`

    `batchbrew lmdb build --ilsvrc-train ILSVRC2012_img_train.tar --out data/train_lmdb --resume`

    `batchbrew lmdb build --ilsvrc-val ILSVRC2012_img_val.tar --labels val.txt --no-shuffle --out data/val_lmdb`

    `batchbrew lmdb build --folder photos --shards 16 --shard 3 --out data/train_lmdb`   (a job for each shard)
    """
    from batchbrew.dataset.commands.build import build, build_options
    from batchbrew.dataset.commands.source_choice import SourceChoice

    choice = SourceChoice(
        images, list_file, csv, folder, tar, ilsvrc_train, ilsvrc_val, devkit, labels, classes
    )
    options = build_options(
        mode=mode, side=side, enlarge=enlarge, gray=gray, exif_orientation=exif_orientation, encoding=encoding,
        quality=quality, recompress=recompress, seed=seed, shuffle=shuffle, workers=workers, shards=shards,
        shard=shard, max_bad=max_bad, strict=strict, resume=resume, force=force, check_space=space_check,
    )  # fmt: skip
    build(out, choice, options)


@lmdb_app.command("info")
def lmdb_info(
    db: DbArgument,
    full: Annotated[bool, typer.Option("--full", help="Look at every record, not at a thousand.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what an LMDB holds, and how it came about. Example: `batchbrew lmdb info data/train_lmdb`"""
    from batchbrew.dataset.commands.info import info

    info(db, full=full, as_json=as_json)


@lmdb_app.command("verify")
def lmdb_verify(
    db: DbArgument,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="A data set that shall share no picture with it; may be repeated."),
    ] = None,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Only warn of pictures that --against has, too.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Threads (default: one for each core).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Read and decode every record of an LMDB; look for pictures that it has twice, or shares with others.

    Example: `batchbrew lmdb verify data/train_lmdb --against data/val_lmdb`
    """
    from batchbrew.dataset.commands.verify import verify

    verify(db, workers, against=against or [], allow_duplicates=allow_duplicates, as_json=as_json)


@lmdb_app.command("show")
def lmdb_show(
    db: DbArgument,
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("lmdb.png"),
    count: Annotated[int, typer.Option(min=1, help="How many records.")] = 25,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw them with this seed (default: evenly spread).")
    ] = None,
    label: Annotated[int | None, typer.Option(min=0, help="Of this label only, drawn.")] = None,
    force: ForceOption = False,
) -> None:
    """Draw records of an LMDB on one sheet. Example: `batchbrew lmdb show data/train_lmdb --out sheet.png`"""
    from batchbrew.dataset.commands.show import show

    show(db, out, count, seed, label, force=force)


@lmdb_app.command("export")
def lmdb_export(
    db: DbArgument,
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    by_class: Annotated[bool, typer.Option("--by-class", help="A folder for each class.")] = False,
    form: Annotated[str, typer.Option("--format", help="original, png or jpg.")] = "original",
    quality: Annotated[int, typer.Option(help="Of JPEGs that are made, 1 to 100.")] = 95,
    count: Annotated[int | None, typer.Option(help="That many, evenly spread (default: all).")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads (default: one for each core).")] = None,
) -> None:
    """Write the pictures of an LMDB as files, with a list from which it can be built anew.

    Example: `batchbrew lmdb export data/train_lmdb photos`, and back:
    `batchbrew lmdb build --images photos/images --list photos/list.txt --no-shuffle --out data/again_lmdb`
    """
    from batchbrew.dataset.commands.export import export
    from batchbrew.dataset.exporting import ExportOptions

    export(db, out, ExportOptions(by_class, form, quality, count), workers)


@lmdb_app.command("mean")
def lmdb_mean(
    db: DbArgument,
    out: Annotated[Path, typer.Argument(help="The .binaryproto to write.")],
    crop: Annotated[int | None, typer.Option(help="Of the middle square with this side.")] = None,
    resize: Annotated[
        int | None, typer.Option(help="Of the pictures distorted to a square of this side.")
    ] = None,
    per_channel: Annotated[bool, typer.Option("--per-channel", help="One number for each channel.")] = False,
    workers: Annotated[int | None, typer.Option(help="Threads (default: one for each core).")] = None,
    force: ForceOption = False,
) -> None:
    """Write the mean picture of an LMDB, as `compute_image_mean` does.

    Example: `batchbrew lmdb mean data/train_lmdb data/mean.binaryproto`
    """
    from batchbrew.dataset.commands.mean import mean
    from batchbrew.dataset.mean_file import Frame

    mean(db, out, Frame(crop, resize, per_channel), workers=workers, force=force)


@lmdb_app.command("shuffle")
def lmdb_shuffle(
    db: DbArgument, out: OutArgument, seed: RewriteSeedOption = 0, force: ForceOption = False
) -> None:
    """Write the records of an LMDB in a random order. Example: `batchbrew lmdb shuffle sorted_lmdb train_lmdb`"""
    from batchbrew.dataset.commands.rewrite import shuffle

    shuffle(db, out, seed=seed, force=force)


@lmdb_app.command("merge")
def lmdb_merge(
    dbs: Annotated[
        list[Path], typer.Argument(metavar="DB... OUT", help="What to merge, and the LMDB to make.")
    ],
    offset_labels: Annotated[
        bool, typer.Option("--offset-labels", help="Put the labels of each behind those of the one before.")
    ] = False,
    force: ForceOption = False,
) -> None:
    """Write the records of several LMDBs to one. Example: `batchbrew lmdb merge cats_lmdb dogs_lmdb pets_lmdb`"""
    from batchbrew.dataset.commands.rewrite import merge

    merge(dbs, offset_labels=offset_labels, force=force)


@lmdb_app.command("subset")
def lmdb_subset(
    db: DbArgument,
    out: OutArgument,
    count: Annotated[int | None, typer.Option(help="So many records.")] = None,
    fraction: Annotated[float | None, typer.Option(help="So much of the records, 0 to 1.")] = None,
    per_class: Annotated[int | None, typer.Option(help="So many records of each class, at most.")] = None,
    labels: Annotated[str | None, typer.Option(help="Of these labels only: 1,5-9.")] = None,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="Number the labels of --labels anew, from 0.")
    ] = False,
    seed: RewriteSeedOption = 0,
    force: ForceOption = False,
) -> None:
    """Write some records of an LMDB, drawn at random, in its order.

    Example: `batchbrew lmdb subset data/train_lmdb data/small_lmdb --per-class 100 --labels 0-9`
    """
    from batchbrew.dataset.commands.rewrite import subset
    from batchbrew.dataset.label_ranges import LabelRanges
    from batchbrew.dataset.selection import Choice

    ranges = None if labels is None else LabelRanges(labels)
    subset(db, out, Choice(count, fraction, per_class, ranges, relabel, seed), force=force)


@lmdb_app.command("split")
def lmdb_split(
    db: DbArgument,
    outs: Annotated[list[Path], typer.Argument(metavar="OUT1 OUT2 ...", help="The LMDBs to make.")],
    fractions: Annotated[str, typer.Option(help="How much of it each gets: 0.9,0.1.")],
    stratified: Annotated[
        bool, typer.Option(help="Give each part its fraction of every class, or of the whole alone.")
    ] = True,
    seed: RewriteSeedOption = 0,
    force: ForceOption = False,
) -> None:
    """Write every record of an LMDB to one of several.

    Example: `batchbrew lmdb split data/all_lmdb data/train_lmdb data/val_lmdb --fractions 0.9,0.1`
    """
    from batchbrew.dataset.commands.rewrite import split

    split(db, outs, fractions, seed=seed, stratified=stratified, force=force)
