"""What `batchbrew lmdb build|info|verify|show` do; the command line only forwards to here.

All raise InputError (one line) when the work is not done.
"""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batchbrew.dataset.contact_sheet import write_contact_sheet
from batchbrew.dataset.inspection import LmdbInfo, lmdb_info
from batchbrew.dataset.progress import reporting
from batchbrew.dataset.sources import Entry, FolderScan, read_list, scan_folder
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.dataset.writer import BuildReport, build_lmdb
from batchbrew.errors import InputError

SHOWN_LABELS = 20
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


def info(path: Path) -> None:
    """Print what is in the LMDB `path`."""
    with reporting(f"reading {path}") as progress:
        found = lmdb_info(path, progress)
    _print_info(found)


def verify(path: Path, workers: int | None = None) -> None:
    """Decode every record of the LMDB `path`; print the problems, and raise InputError if there are any."""
    with reporting(f"verifying {path}") as progress:
        found = verify_lmdb(path, workers, progress)
    for problem in found.problems:
        print(problem)
    if found.problem_count:
        raise InputError(
            f"{path} has {found.problem_count} problems in {found.records} records: build it anew"
        )
    compared = "as dataset.json says" if found.described else "there is no dataset.json to compare with"
    print(f"{path}: {found.records:,} records, all can be decoded; {compared}")


def show(path: Path, out: Path, count: int = 25) -> None:
    """Write a contact sheet of `count` records of the LMDB `path` to the PNG file `out`."""
    shown = write_contact_sheet(path, out, count)
    print(f"{out}: {shown} records of {path}")


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
    table = _table(str(report.path))
    table.add_row("images", f"{built.images:,} of {built.listed:,} listed")
    table.add_row("unreadable", f"{len(built.unreadable):,}")
    table.add_row("classes", f"{built.classes:,} ({_spread(built.label_counts)})")
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


def _print_info(found: LmdbInfo) -> None:
    table = _table(str(found.path))
    table.add_row("records", f"{found.entries:,}")
    if found.shards > 1:
        table.add_row("LMDBs", f"{found.shards:,}")
    table.add_row("file" if found.shards == 1 else "files", f"{found.file_bytes / 2**20:,.1f} MiB")
    table.add_row("labels", f"{len(found.label_counts):,} ({_spread(found.label_counts)})")
    table.add_row("encoded", f"{found.encoded} of {found.sampled} looked at")
    common = ", ".join(f"{width}×{height} ({count})" for (height, width), count in found.sizes.most_common(3))
    table.add_row("width×height", common + (", ..." if len(found.sizes) > 3 else ""))
    table.add_row("mean short side", f"{found.mean_short_side:.1f}")
    if (built := found.description) is not None:
        order = "in the list's order" if built.seed is None else f"shuffled with seed {built.seed}"
        table.add_row("built", f"by BatchBrew {built.version}, {order}, {len(built.unreadable)} left out")
    Console().print(table)
    names = found.class_names
    for label, count in list(found.label_counts.items())[:SHOWN_LABELS]:
        name = f" {names[label]}" if names and 0 <= label < len(names) else ""
        print(f"label {label}{name}: {count:,}")
    if len(found.label_counts) > SHOWN_LABELS:
        print(f"and {len(found.label_counts) - SHOWN_LABELS:,} more labels")


def _table(title: str) -> Table:
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    return table


def _spread(label_counts: dict[int, int]) -> str:
    counts = label_counts.values()
    return f"{min(counts):,} to {max(counts):,} images each"
