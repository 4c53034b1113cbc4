"""`batchbrew lmdb info`."""

from pathlib import Path

from rich.console import Console

from batchbrew.dataset.commands.tables import facts_table, spread
from batchbrew.dataset.inspection import LmdbInfo, lmdb_info
from batchbrew.dataset.progress import reporting

SHOWN_LABELS = 20


def info(path: Path) -> None:
    """Print what is in the LMDB `path`."""
    with reporting(f"reading {path}") as progress:
        found = lmdb_info(path, progress)
    _print_info(found)


def _print_info(found: LmdbInfo) -> None:
    table = facts_table(str(found.path))
    table.add_row("records", f"{found.entries:,}")
    if found.shards > 1:
        table.add_row("LMDBs", f"{found.shards:,}")
    table.add_row("file" if found.shards == 1 else "files", f"{found.file_bytes / 2**20:,.1f} MiB")
    table.add_row("labels", f"{len(found.label_counts):,} ({spread(found.label_counts)})")
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
