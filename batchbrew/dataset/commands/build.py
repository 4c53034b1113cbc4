"""`batchbrew lmdb build`."""

from pathlib import Path

from rich.console import Console

from batchbrew.dataset.commands.tables import facts_table, spread
from batchbrew.dataset.progress import reporting
from batchbrew.dataset.sources import Entry, FolderScan, read_list, scan_folder
from batchbrew.dataset.writer import BuildReport, build_lmdb
from batchbrew.errors import InputError

SHOWN_BAD = 10


def build(
    out: Path,
    *,
    images: Path | None = None,
    list_file: Path | None = None,
    folder: Path | None = None,
    classes_file: Path | None = None,
    short_side: int = 256,
    quality: int = 95,
    seed: int = 0,
    shuffle: bool = True,
    workers: int | None = None,
    max_bad: int | None = None,
) -> None:
    """Build the LMDB `out` from `list_file` with paths relative to `images`, or from `folder`, one per class.

    `classes_file` holds a class name a line, in the order of the labels. With `shuffle` false the order is
    the list's. Prints a summary.
    """
    entries, root, class_names = _source(images, list_file, folder)
    if classes_file is not None:
        class_names = read_class_names(classes_file)
    with reporting(f"building {out}") as progress:
        report = build_lmdb(
            entries,
            root,
            out,
            short_side=short_side,
            quality=quality,
            seed=seed if shuffle else None,
            workers=workers,
            class_names=class_names,
            max_bad=max_bad,
            progress=progress,
        )
    _print_report(report)


def _source(
    images: Path | None, list_file: Path | None, folder: Path | None
) -> tuple[list[Entry], Path, list[str] | None]:
    """Entries, their root, class names where known."""
    if folder is not None:
        if images is not None or list_file is not None:
            raise InputError("--folder is given with --images or --list: choose one way to name the images")
        scan = scan_folder(folder)
        _print_scan(folder, scan)
        return scan.entries, folder, scan.class_names
    if images is None or list_file is None:
        raise InputError("no images are named: give --images DIR with --list FILE, or --folder DIR")
    if not images.is_dir():
        raise InputError(
            f"{images} (--images) is not a folder: name the one that the list's paths start from"
        )
    return read_list(list_file, images), images, None


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


def _print_scan(folder: Path, scan: FolderScan) -> None:
    print(f"{folder}: {len(scan.entries):,} images in {len(scan.class_names):,} classes")
    if scan.ignored:
        kinds = ", ".join(
            f"{count} {kind or 'without extension'}" for kind, count in sorted(scan.ignored.items())
        )
        print(
            f"{folder}: ignored {sum(scan.ignored.values())} files that are no images or in no class: {kinds}"
        )
    for name in scan.empty_classes:
        print(f"{folder}: class {name} (label {scan.class_names.index(name)}) has no image")


def _print_report(report: BuildReport) -> None:
    built = report.description
    table = facts_table(str(report.path))
    table.add_row("images", f"{built.images:,} of {built.listed:,} listed")
    table.add_row("unreadable", f"{len(built.unreadable):,}")
    table.add_row("classes", f"{built.classes:,} ({spread(built.label_counts)})")
    table.add_row("short side, quality", f"{built.short_side}, {built.quality}")
    table.add_row("order", "the list's" if built.seed is None else f"shuffled with seed {built.seed}")
    table.add_row("size", f"{built.total_bytes / 2**20:,.1f} MiB")
    table.add_row("time", f"{report.seconds:,.1f} s ({built.listed / report.seconds:,.0f} images/s)")
    Console().print(table)
    for bad in built.unreadable[:SHOWN_BAD]:
        print(f"left out: {bad}")
    if len(built.unreadable) > SHOWN_BAD:
        print(
            f"left out: {len(built.unreadable) - SHOWN_BAD} more, all named in {report.path / 'dataset.json'}"
        )
