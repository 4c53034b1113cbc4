"""`generate_{family}.py` and `batchbrew generate {family}`: options in, a model folder out."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from batchbrew.errors import BatchBrewError, InputError
from batchbrew.nets.families import FAMILIES
from batchbrew.nets.generation import Model, ModelRequest, build_model
from batchbrew.nets.model_folder import DEPLOY, SOLVER, TRAIN_VAL, model_texts, write_model
from batchbrew.nets.network_options import network_options
from batchbrew.nets.options import data_options, output_options
from batchbrew.nets.requests import Warn, read_request
from batchbrew.nets.training_options import training_options

STANDARD_OUTPUT = "-"
FILES = {"train_val": TRAIN_VAL, "deploy": DEPLOY, "solver": SOLVER}


def main(family: str, argv: list[str] | None = None, prog: str | None = None) -> int:
    """Generate the model folder of a network of `family`, a key of FAMILIES, as `argv` says; return the exit code.

    1: a value cannot be worked with, and a line on stderr says why; 2: the options are not as --help says.
    """
    arguments = sys.argv[1:] if argv is None else argv
    parser = generator_parser(family, prog)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:  # argparse has printed the help, or what was wrong
        return int(end.code or 0)
    try:
        _generate(family, options, made_by=shlex.join([*parser.prog.split(), *arguments]))
    except BatchBrewError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    return 0


def generate_family(arguments: list[str], prog: str) -> int:
    """`batchbrew generate FAMILY ...`: hand the rest to the family's generator; return the exit code."""
    families = ", ".join(FAMILIES)
    usage = f"usage: {prog} FAMILY [options]; FAMILY is one of {families}; options: {prog} resnet --help"
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage)
        return 0 if arguments else 2
    if arguments[0] not in FAMILIES:
        print(f"{prog}: error: there is no family {arguments[0]!r}; {usage}", file=sys.stderr)
        return 2
    return main(arguments[0], arguments[1:], prog=f"{prog} {arguments[0]}")


class _OneLineErrors(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Without the usage, which is 25 lines for these options and hides what was wrong."""
        self.exit(2, f"{self.prog}: error: {message}; options: {self.prog} --help\n")


def generator_parser(family: str, prog: str | None = None) -> argparse.ArgumentParser:
    """All options of `family`, a key of FAMILIES."""
    row = FAMILIES[family]
    parser = _OneLineErrors(
        prog=prog,
        description="Write train_val.prototxt, deploy.prototxt and solver.prototxt of\n" + row.description,
        epilog="example:\n"
        f"  %(prog)s {row.example} --train data/train_lmdb --val data/val_lmdb --out models/{family}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    row.add_options(network_options(parser, row.crop))
    data_options(parser)
    training_options(parser, row.rates, row.device_batch_images)
    output_options(parser)
    return parser


def requested_model(family: str, options: argparse.Namespace, warn: Warn) -> tuple[ModelRequest, Model]:
    """What `options`, those of `family`'s parser, ask for; `warn` is told what was assumed. Raises InputError."""
    row = FAMILIES[family]
    request = read_request(options, row.network(options), row.device_batch_images, warn)
    return request, build_model(request)


def _generate(family: str, options: argparse.Namespace, made_by: str) -> None:
    to_stdout = options.out == STANDARD_OUTPUT
    if to_stdout:
        options.out = ""  # what is printed will lie, once saved, in the folder where training is started
    elif options.print is not None:
        raise InputError(f"--print {options.print} is for --out -: leave it away, or write --out -")
    warnings: list[str] = []
    request, model = requested_model(family, options, warnings.append)
    if to_stdout:
        print(model_texts(model, made_by)[FILES[options.print or "train_val"]], end="")
    else:
        paths = write_model(Path(options.out), model, made_by)
        print("\n".join(_report(request, model, paths)))
    for warning in [*warnings, *model.warnings]:
        print(f"warning: {warning}", file=sys.stderr)


def _report(request: ModelRequest, model: Model, paths: Sequence[Path]) -> list[str]:
    cost = model.cost
    return [
        *map(str, paths),
        f"{request.name}: {request.classes:,} classes, crop {request.crop}; {cost.learned:,} parameters "
        f"and {cost.statistics:,} BatchNorm statistics; {cost.multiply_adds:,} multiply-adds an image",
        *model.explanation,
        *model.notes,
        *model.deploy_notes,
    ]
