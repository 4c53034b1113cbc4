"""`generate_resnet.py` and `batchbrew generate resnet`: options in, a model folder out."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from batchbrew.errors import BatchBrewError, InputError
from batchbrew.nets.generation import Model, ModelRequest, build_model
from batchbrew.nets.model_folder import write_model
from batchbrew.nets.options import data_options, network_options, output_options
from batchbrew.nets.requests import read_request
from batchbrew.nets.resnet import DEPTHS, resnet
from batchbrew.nets.training_options import training_options
from batchbrew.solver.solver import RESNET_RATES

EXAMPLE = """example:
  %(prog)s --depth 50 --classes 1000 --train data/train_lmdb --val data/val_lmdb --out models/resnet50
"""


def main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Generate a ResNet's model folder as `argv` says; return the exit code.

    1: a value cannot be worked with, and a line on stderr says why; 2: the options are not as --help says.
    """
    arguments = sys.argv[1:] if argv is None else argv
    parser = _parser(prog)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:  # argparse has printed the help, or what was wrong
        return int(end.code or 0)
    try:
        _generate(options, made_by=shlex.join([*parser.prog.split(), *arguments]))
    except BatchBrewError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    return 0


def generate_family(arguments: list[str], prog: str) -> int:
    """`batchbrew generate FAMILY ...`: hand the rest to the family's generator; return the exit code."""
    usage = f"usage: {prog} FAMILY [options]; FAMILY is resnet; its options: {prog} resnet --help"
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage)
        return 0 if arguments else 2
    if arguments[0] != "resnet":
        print(f"{prog}: error: there is no family {arguments[0]!r}; {usage}", file=sys.stderr)
        return 2
    return main(arguments[1:], prog=f"{prog} resnet")


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write train_val.prototxt, deploy.prototxt and solver.prototxt of a pre-activation\n"
        "ResNet with batch normalisation (Simon, Rodner, Denzler, arXiv 1612.01452).",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    network = network_options(parser)
    network.add_argument("--depth", type=int, required=True, metavar="N", help=f"layers: {_depths()}")
    data_options(parser)
    training_options(parser, RESNET_RATES)
    output_options(parser)
    return parser


def _depths() -> str:
    *first, last = map(str, DEPTHS)
    return f"{', '.join(first)} or {last}"


def _generate(options: argparse.Namespace, made_by: str) -> None:
    if options.depth not in DEPTHS:
        raise InputError(f"--depth {options.depth} is not known: it is {_depths()}")
    warnings: list[str] = []
    request = read_request(
        options,
        body=resnet(options.depth, options.classes),
        default_name=f"resnet{options.depth}",
        warn=warnings.append,
    )
    model = build_model(request)
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
    ]
