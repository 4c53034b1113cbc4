"""`batchbrew summary`: what each layer of a network makes and costs, in a table for 100 columns."""

import re
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchbrew.dataset.first_image import first_image
from batchbrew.errors import InputError
from batchbrew.nets.reading import read_network
from batchbrew.nets.shapes import Known, Shape, infer_shapes
from batchbrew.nets.summary import COLUMNS, Summary, as_json, as_markdown, cost_cells, summarise, total_lines
from batchbrew.proto import caffe_pb2 as pb

FORMATS = ("text", "markdown", "json")
PHASES = {"TRAIN": pb.TRAIN, "TEST": pb.TEST}
WIDTH = 100  # of the table where the output is no terminal
LONGEST_SIDE = 65_535
MOST_IMAGES = 2**20


def summary(
    path: Path,
    *,
    phase: str,
    batch: int | None,
    size: str | None,
    shapes: Sequence[str],
    form: str,
    console: Console,
) -> None:
    """Print the summary of the network, or of the solver's network, in `path`. Raises InputError."""
    if form not in FORMATS:
        raise InputError(f"--format {form} is not known: it is {', '.join(FORMATS)}")
    if phase.upper() not in PHASES:
        raise InputError(f"--phase {phase} is not known: it is TRAIN or TEST")
    if batch is not None and not 1 <= batch <= MOST_IMAGES:
        raise InputError(f"--batch must be from 1 to {MOST_IMAGES:,}, not {batch}")
    known = Known(read_shapes(shapes), batch, read_size(size), first_image)
    found = summary_of(path, phase.upper(), known)
    if form == "text":
        _print_table(found, console)
    else:
        print(as_json(found) if form == "json" else as_markdown(found))


def summary_of(path: Path, phase: str, known: Known) -> Summary:
    """Of the network, or of the solver's network, in `path`; `phase` is TRAIN or TEST. Raises InputError."""
    file = read_network(path, PHASES[phase])
    name = file.net.name or file.path.stem
    try:
        found = infer_shapes(file.net, PHASES[phase], known)
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from error
    if not found.layers:
        raise InputError(f"{file.path} has no layers in phase {phase}: try --phase {_other(phase)}")
    return summarise(name, phase, found)


def _other(phase: str) -> str:
    return "TEST" if phase == "TRAIN" else "TRAIN"


def read_size(text: str | None) -> tuple[int, int] | None:
    """`224,256` or `224x256`: height and width; a single number is both. Raises InputError."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,5})\s*(?:[,x×]\s*(\d{1,5})\s*)?", text)
    sides = [int(side) for side in match.groups() if side] if match else [0]
    if not 1 <= min(sides) <= max(sides) <= LONGEST_SIDE:
        raise InputError(
            f"--size {text} is not H,W: two whole numbers from 1 to {LONGEST_SIDE:,}, height first"
        )
    return sides[0], sides[-1]


def read_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """`data=16,3,224,224` to a shape by blob. Raises InputError."""
    shapes: dict[str, Shape] = {}
    for text in texts:
        blob, equals, numbers = text.rpartition("=")
        dims = numbers.split(",")
        if not (blob and equals and all(dim.strip().isdecimal() and 0 < int(dim) < 2**31 for dim in dims)):
            raise InputError(
                f"--shape {text} is not BLOB=N,C,H,W: a blob's name, and whole numbers from 1 on"
            )
        shapes[blob] = tuple(map(int, dims))
    return shapes


def _print_table(found: Summary, console: Console) -> None:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=Text(found.name),
        title_justify="left",
    )
    for index, (header, unit) in enumerate(COLUMNS):
        numbers = index >= 3
        table.add_column(
            f"{header}\n{unit}".rstrip(),
            justify="right" if numbers else "left",
            overflow="fold",
            no_wrap=numbers,
        )
    for row in found.rows:
        table.add_row(*(Text(cell) for cell in (row.name, row.type, row.output, *cost_cells(row))))
    if not console.is_terminal:
        console.width = WIDTH  # a pipe has none of its own, and 80 columns squeeze the names
    console.print(table)
    for line in total_lines(found):
        console.print(Text(line), soft_wrap=True)
