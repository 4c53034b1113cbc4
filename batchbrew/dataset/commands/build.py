"""`batchbrew lmdb build`."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from batchbrew.dataset.building.beforehand import check_beforehand
from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import BuildReport, build_lmdb
from batchbrew.dataset.commands.source_choice import SourceChoice, check_choice, check_outside, open_source
from batchbrew.dataset.commands.tables import facts_table, spread
from batchbrew.dataset.description import Description, Unreadable
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.plurals import counted
from batchbrew.dataset.progress import reporting
from batchbrew.dataset.sources import Source
from batchbrew.errors import InputError, printable

SHOWN_BAD = 10


def build(out: Path, choice: SourceChoice, options: BuildOptions) -> None:
    """Build the LMDB `out` from the chosen source. Prints a summary, with what was odd or left out by name.

    An interrupt (Ctrl-C, SIGTERM) ends the process with 130 or 143, after saying how to go on.
    """
    check_choice(choice)
    check_outside(out, choice)
    check_beforehand(out, options)
    if choice.classes is not None:
        options = replace(options, class_names=read_class_names(choice.classes))
    with _saying_how_to_go_on(out), contextlib.closing(open_source(choice)) as source:
        _print_source(source)
        with reporting(f"building {out}", "quarantined") as meter:
            report = build_lmdb(source, out, options, meter)
    _print_report(report)


def build_options(
    *,
    mode: str = "short",
    side: int | None = None,
    enlarge: bool = False,
    gray: bool = False,
    exif_orientation: str = "ignore",
    encoding: str = "jpeg",
    quality: int | None = None,
    recompress: bool = False,
    seed: int | None = None,
    shuffle: bool = True,
    max_bad: int | None = None,
    strict: bool = False,
    workers: int | None = None,
    shards: int | None = None,
    shard: int | None = None,
    resume: bool = False,
    force: bool = False,
    check_space: bool = True,
) -> BuildOptions:
    """What the options of the command line ask for. None: not given.

    Raises InputError for what cannot be, and for an option that would have no effect.
    """
    if exif_orientation not in ("apply", "ignore"):
        raise InputError(f"--exif-orientation {exif_orientation!r} is not known: give apply or ignore")
    if strict and max_bad:
        raise InputError(f"--strict allows no unreadable image and --max-bad {max_bad}: give one of them")
    without_effect = {
        "--side goes with a --mode that scales, not with none": mode == "none" and side is not None,
        f"--enlarge goes with --mode short or pad, not with {mode}": mode in ("squash", "crop", "none")
        and enlarge,
        "--recompress is of JPEGs and PNGs, not of --encoding raw": encoding == "raw" and recompress,
        f"--quality is of JPEGs, not of --encoding {encoding}": encoding != "jpeg" and quality is not None,
        "--seed is of the shuffle, which --no-shuffle leaves out": not shuffle and seed is not None,
        "--shard is one of --shards, which is not given": shard is not None and shards is None,
    }
    for problem, given in without_effect.items():
        if given:
            raise InputError(f"{problem}: it would have no effect; leave one of them out")
    exif = exif_orientation == "apply"
    return BuildOptions(
        images=ImageOptions(
            mode,
            ImageOptions.side if side is None else side,
            enlarge,
            gray,
            exif,
            encoding,
            ImageOptions.quality if quality is None else quality,
            recompress,
        ),
        seed=(0 if seed is None else seed) if shuffle else None,
        workers=workers,
        max_bad=0 if strict else max_bad,
        shards=1 if shards is None else shards,
        shard=shard,
        resume=resume,
        force=force,
        check_space=check_space,
    )


def read_class_names(path: Path) -> list[str]:
    """A name a line; the label is the line's number from 0. Raises InputError for a blank line or no text."""
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().split("\n")]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not a text file in UTF-8 ({error.reason} at byte {error.start})"
        ) from error
    for number, name in enumerate(names, start=1):
        if not name:
            raise InputError(f"{path}, line {number} is blank: a class name is expected on every line")
    return names


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler sends it."""


@contextlib.contextmanager
def _saying_how_to_go_on(out: Path) -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        print(f"batchbrew: {out} is not finished: go on with the same command and --resume", file=sys.stderr)
        number = signal.SIGTERM if isinstance(interrupt, _Terminated) else signal.SIGINT
        raise SystemExit(128 + number) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_source(source: Source) -> None:
    classes = f" in {counted(len(source.class_names), 'class')}" if source.class_names else ""
    refused = f", and {len(source.refused):,} refused" if source.refused else ""
    print(printable(f"{source.name}: {counted(len(source.entries), 'image')}{classes}{refused}"), flush=True)
    for note in source.notes:
        print(printable(f"{source.name}: {note}"))


def _print_report(report: BuildReport) -> None:
    built = report.descriptions
    first, images, listed = built[0], sum(each.images for each in built), sum(each.listed for each in built)
    unreadable = [bad for each in built for bad in each.unreadable]
    refused = [bad for each in built for bad in each.refused]
    table = facts_table(str(report.path))
    table.add_row("images", f"{images:,} of {listed:,} listed")
    table.add_row("quarantined", f"{len(unreadable):,}")
    table.add_row("refused", f"{len(refused):,}")
    if len(built) > 1:
        table.add_row("shards", f"{len(built):,}")
    table.add_row("classes", f"{first.classes:,} ({spread(_label_counts(built))})")
    for kind, count in _odd(built).items():
        table.add_row(escape(printable(kind)), f"{count:,}")
    table.add_row("order", "the source's" if first.seed is None else f"shuffled with seed {first.seed}")
    table.add_row("size", f"{sum(each.total_bytes for each in built) / 2**20:,.1f} MiB")
    if report.made:
        table.add_row("time", f"{report.seconds:,.1f} s ({report.made / report.seconds:,.0f} images/s)")
    else:
        table.add_row("time", "nothing was left to make: it was complete already")
    Console().print(table)
    _print_bad("quarantined", unreadable, report.path)
    _print_bad("refused", refused, report.path)


def _print_bad(what: str, bad: list[Unreadable], path: Path) -> None:
    for one in bad[:SHOWN_BAD]:
        print(printable(f"{what}: {one}"))
    if len(bad) > SHOWN_BAD:
        print(f"{what}: {len(bad) - SHOWN_BAD:,} more, all named in dataset.json in {path}")


def _label_counts(built: tuple[Description, ...]) -> dict[int, int]:
    return {label: sum(each.label_counts.get(label, 0) for each in built) for label in built[0].label_counts}


def _odd(built: tuple[Description, ...]) -> dict[str, int]:
    kinds = sorted({kind for each in built for kind in each.odd})
    return {kind: sum(each.odd[kind]["count"] for each in built if kind in each.odd) for kind in kinds}
