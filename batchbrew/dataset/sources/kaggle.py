"""LOC_val_solution.csv: the labels of ILSVRC2012's validation images as kaggle.com hands them out.

    ImageId,PredictionString
    ILSVRC2012_val_00000001,n01751748 156 48 272 332 n01751748 42 9 322 285

The synset is that of the first box; all boxes of an image have the same.
"""

from pathlib import Path

from batchbrew.dataset.sources.devkit import SYNSET
from batchbrew.dataset.sources.entry import Entry
from batchbrew.dataset.sources.tables import read_rows
from batchbrew.errors import InputError

SOLUTION = "LOC_val_solution.csv"
HEADER = ["ImageId", "PredictionString"]
SUFFIX = ".JPEG"


def is_solution(path: Path) -> bool:
    """Whether a file begins like one. Raises InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.readline(100).decode("utf-8-sig", "replace").strip() == ",".join(HEADER)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def read_solution(path: Path) -> tuple[list[Entry], list[str]]:
    """Entries by the images' names, sorted, and the synsets, sorted: a label is the place of one of these."""
    synsets: dict[str, str] = {}
    for line, row in read_rows(path):
        if row == HEADER:
            continue
        synset = (row[1].split() or [""])[0] if len(row) == 2 else ""
        if not SYNSET.fullmatch(synset):
            raise InputError(f"{path}, line {line} has no synset: {','.join(row)[:100]!r}")
        if synsets.setdefault(row[0], synset) != synset:
            raise InputError(
                f"{path}, line {line}: {row[0]} is of {synset}, but was of {synsets[row[0]]} before"
            )
    names = sorted(set(synsets.values()))
    labels = {name: label for label, name in enumerate(names)}
    return [Entry(image + SUFFIX, labels[synsets[image]]) for image in sorted(synsets)], names
