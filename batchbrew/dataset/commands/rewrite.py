"""`batchbrew lmdb shuffle`, `merge`, `subset` and `split`."""

from collections.abc import Sequence
from pathlib import Path

from batchbrew.dataset import rewriting
from batchbrew.dataset.commands.tables import spread
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.progress import reporting
from batchbrew.dataset.rewriting import Rewritten
from batchbrew.dataset.selection import Choice
from batchbrew.errors import InputError


def shuffle(path: Path, out: Path, *, seed: int, force: bool) -> None:
    """Write the records of `path` in a random order."""
    with reporting(f"shuffling {path}") as progress:
        _print(rewriting.shuffle(path, out, seed=seed, force=force, progress=progress))


def merge(paths: Sequence[Path], *, offset_labels: bool, force: bool) -> None:
    """Write the records of all paths but the last to the last."""
    *sources, out = paths
    with reporting(f"merging {out}") as progress:
        _print(rewriting.merge(sources, out, offset_labels=offset_labels, force=force, progress=progress))


def subset(path: Path, out: Path, choice: Choice, *, force: bool) -> None:
    """Write some records of `path`."""
    with reporting(f"writing {out}") as progress:
        _print(rewriting.subset(path, out, choice, force=force, progress=progress))


def split(
    path: Path, outs: Sequence[Path], fractions: str, *, seed: int, stratified: bool, force: bool
) -> None:
    """Write every record of `path` to one of `outs`."""
    with reporting(f"splitting {path}") as progress:
        results = rewriting.split(
            path,
            outs,
            _fractions(fractions),
            seed=seed,
            stratified=stratified,
            force=force,
            progress=progress,
        )
    for result in results:
        _print(result)


def _fractions(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"fractions {text!r} cannot be read: write them as in 0.9,0.1") from error


def _print(result: Rewritten) -> None:
    built = result.description
    how = "" if built.made_from is None else f"; {built.made_from['how']}"
    present = {label: count for label, count in built.label_counts.items() if count}
    print(
        f"{result.path}: {counted(built.images, 'record')}, {counted(len(present), 'class')} ({spread(present)}), "
        f"{built.total_bytes / 2**20:,.1f} MiB{how}"
    )
