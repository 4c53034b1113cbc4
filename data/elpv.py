#!/usr/bin/env python3
"""Lists of the elpv data set (solar cells, 4 classes), from the PyPI package that holds its pictures.

    pip install --no-deps elpv-dataset
    python data/elpv.py --out data/elpv

writes train.txt, val.txt (Caffe's list format), classes.txt and elpv.json, which names the folder that the
lists' paths start from. The package's code is neither imported nor run; only its files are read.
"""

import argparse
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout in which nothing is installed

from batchbrew.atomic import write_file
from batchbrew.dataset.sources import Entry, shuffled
from batchbrew.errors import BatchBrewError, InputError

PACKAGE = "elpv_dataset"
IMAGES = 2624
# The annotators' verdict as a probability of a defect: a third stands for "functional, but not sure", two
# thirds for "defective, but not sure" (Deitsch et al. 2019).
CLASSES = ("functional", "rather_functional", "rather_defective", "defective")
VAL_SHARE = 0.2


def find_root() -> Path:
    """The installed package's data folder. Raises InputError if there is no such package."""
    spec = importlib.util.find_spec(PACKAGE)  # of a top-level package: finds it and runs nothing
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the package {PACKAGE} is not installed: run `pip install --no-deps elpv-dataset`")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read_labels(root: Path) -> list[Entry]:
    """All pictures with labels 0 to 3, sorted by path. Raises InputError if any is missing or unexpected."""
    path = root / "labels.csv"
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): install elpv-dataset anew") from error
    entries = [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if len(entries) != IMAGES or len({entry.path for entry in entries}) != IMAGES:
        raise InputError(
            f"{path} names {len(entries)} pictures instead of {IMAGES}: install elpv-dataset anew"
        )
    missing = [entry.path for entry in entries if not (root / entry.path).is_file()]
    if missing:
        raise InputError(
            f"{root} lacks {len(missing)} pictures, {missing[0]} first: install elpv-dataset anew"
        )
    return sorted(entries)


def _parse(line: str, where: str) -> Entry:
    """A line is a path, a probability (0, 1/3, 2/3 or 1) and a kind of cell, between blanks."""
    try:
        path, probability, _ = line.split()
        thirds = 3 * float(probability)
        label = round(thirds)
    except (ValueError, OverflowError):
        raise InputError(f"{where}: {line!r} is not a path, a probability and a kind of cell") from None
    if abs(thirds - label) > 0.01 or not 0 <= label < len(CLASSES):
        raise InputError(f"{where}: probability {probability} is none of 0, 1/3, 2/3 and 1")
    return Entry(path, label)


def split(entries: Sequence[Entry], seed: int) -> tuple[list[Entry], list[Entry]]:
    """Training and validation entries, 80 to 20 in each class, each sorted by path."""
    train, val = [], []
    for label in range(len(CLASSES)):
        members = shuffled([entry for entry in entries if entry.label == label], seed)
        cut = round(VAL_SHARE * len(members))
        val += members[:cut]
        train += members[cut:]
    return sorted(train), sorted(val)


def majority_share(entries: Sequence[Entry]) -> float:
    """The accuracy of always answering the most frequent class: what a trained network has to beat."""
    return Counter(entry.label for entry in entries).most_common(1)[0][1] / len(entries)


def write_lists(out: Path, root: Path, seed: int) -> None:
    """Write the four files; the same package and seed give the same bytes."""
    train, val = split(read_labels(root), seed)
    for name, entries in (("train", train), ("val", val)):
        write_file(out / f"{name}.txt", "".join(f"{entry.path} {entry.label}\n" for entry in entries))
        print(f"{out / name}.txt: {len(entries)} images, largest class {majority_share(entries):.2%}")
    write_file(out / "classes.txt", "".join(f"{name}\n" for name in CLASSES))
    described = {
        "root": str(root),
        "seed": seed,
        "train": len(train),
        "val": len(val),
        "classes": list(CLASSES),
    }
    write_file(out / "elpv.json", json.dumps(described, indent=1) + "\n")
    print(f"paths start from {root}; next:")
    for name in ("train", "val"):
        options = f"--images {root} --list {out / name}.txt --classes {out / 'classes.txt'}"
        print(f"  batchbrew lmdb build {options} --out {out}_{name}_lmdb")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the lists of the elpv data set.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the lists, as in data/elpv")
    parser.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    options = parser.parse_args(arguments)
    try:
        write_lists(options.out, find_root(), options.seed)
    except BatchBrewError as error:
        print(f"elpv: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
