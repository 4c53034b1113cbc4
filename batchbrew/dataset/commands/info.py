"""`batchbrew lmdb info`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from batchbrew.dataset.class_balance import named_label
from batchbrew.dataset.commands.tables import facts_table, spread
from batchbrew.dataset.description import FILE_NAME, Description
from batchbrew.dataset.inspection import LmdbInfo, lmdb_info
from batchbrew.dataset.progress import reporting
from batchbrew.errors import printable

SHOWN_LABELS = 20
SHOWN_SIZES = 3
SHOWN_BAD = 10


def info(path: Path, *, full: bool = False, as_json: bool = False) -> None:
    """Print what is in the data set `path`."""
    with reporting(f"reading {path}") as progress:
        found = lmdb_info(path, progress, full=full)
    if as_json:
        print(json.dumps(_fields(found), indent=1))
    else:
        _print(found)


def _fields(found: LmdbInfo) -> dict[str, Any]:
    return {
        "path": str(found.path),
        "lmdbs": found.shards,
        "records": found.entries,
        "file_bytes": found.file_bytes,
        "label_counts": found.label_counts,
        "label_counts_of": found.labelled,
        "class_names": found.class_names,
        "looked_at": found.sampled,
        "kinds": found.kinds,
        "sizes": [
            {"width": width, "height": height, "records": count}
            for (height, width), count in found.sizes.most_common()
        ],
        "mean_short_side": found.mean_short_side,
        "first_key": found.first_key,
        "description": None if found.description is None else _described(found.description),
    }


def _described(built: Description) -> dict[str, Any]:
    """dataset.json, without what is said above."""
    fields = asdict(built)
    for name in ("label_counts", "class_names", *(() if built.sha256 else ("sha256",))):
        del fields[name]
    return fields | {
        name: [bad._asdict() for bad in getattr(built, name)] for name in ("unreadable", "refused")
    }


def _print(found: LmdbInfo) -> None:
    table = facts_table(str(found.path))
    table.add_row("records", f"{found.entries:,}")
    if found.shards > 1:
        table.add_row("LMDBs", f"{found.shards:,}")
    table.add_row("file" if found.shards == 1 else "files", f"{found.file_bytes / 2**20:,.1f} MiB")
    table.add_row("labels", _labels(found))
    of = "" if found.sampled == found.entries else f" of {found.sampled:,} looked at"
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in found.kinds.most_common())
    table.add_row("stored as", kinds + of)
    common = ", ".join(
        f"{width}×{height} ({count:,})" for (height, width), count in found.sizes.most_common(SHOWN_SIZES)
    )
    table.add_row("width×height", common + (", ..." if len(found.sizes) > SHOWN_SIZES else ""))
    table.add_row("mean short side", f"{found.mean_short_side:.1f}")
    table.add_row("first key", escape(found.first_key))
    if found.description is not None:
        for name, value in _provenance(found.description):
            table.add_row(name, escape(printable(value)))
    Console().print(table)
    if found.labelled < found.entries:
        print(f"of {found.labelled:,} records looked at:")
    for label, count in list(found.label_counts.items())[:SHOWN_LABELS]:
        print(f"label {named_label(label, found.class_names)}: {count:,}")
    if len(found.label_counts) > SHOWN_LABELS:
        print(f"and {len(found.label_counts) - SHOWN_LABELS:,} more labels")
    if found.description is not None:
        _print_left_out(found.path, found.description)


def _labels(found: LmdbInfo) -> str:
    counts = found.label_counts
    text = f"{len(counts):,}, {min(counts)} to {max(counts)}"
    if found.labelled == found.entries:
        return f"{text} ({spread(counts)})"
    return f"{text} in {found.labelled:,} records looked at; --full counts all"


def _provenance(built: Description) -> Iterator[tuple[str, str]]:
    """What dataset.json tells: names and values for the table."""
    order = "in the order of its source" if built.seed is None else f"shuffled with seed {built.seed}"
    left_out = len(built.unreadable) + len(built.refused)
    yield "built", f"by BatchBrew {built.version}, {order}, {left_out:,} left out"
    if built.source is not None:
        yield "source", f"{built.source.get('name')} (digest {str(built.source.get('digest'))[:12]})"
    for line in _ancestry(built.made_from):
        yield "made from", line
    if built.options is not None:
        yield "options", ", ".join(_option(name, value) for name, value in built.options.items())
    elif built.short_side is not None:
        yield "options", f"short side {built.short_side}, quality {built.quality}"
    if built.shard is not None:
        yield "shard", " of ".join(map(str, built.shard))
    if built.mean is not None and built.std is not None:
        yield "mean, std (BGR)", f"{_numbers(built.mean)}; {_numbers(built.std)}"
    for name, counts in (
        ("files were", built.kinds),
        ("their short sides", built.source_short_sides),
        ("their sizes", built.source_sizes),
    ):
        if counts:
            shown = [f"{what} ({count})" for what, count in list(counts.items())[:8]]
            yield name, ", ".join(shown) + (", ..." if len(counts) > len(shown) else "")
    if built.odd:
        yield "odd", ", ".join(f"{kind} ({found.get('count')})" for kind, found in built.odd.items())
    if built.sha256:  # a set has none
        yield "sha256", built.sha256


def _ancestry(made_from: dict[str, Any] | None) -> Iterator[str]:
    """How, of what, and how that was made in its turn: a line for each step back."""
    while isinstance(made_from, dict):
        parents = [parent for parent in made_from.get("from", ()) if isinstance(parent, dict)]
        named = [
            f"{parent.get('name')} ({parent.get('images')} records, sha256 {_digests(parent.get('sha256'))}"
            f"{_source_of(parent)})"
            for parent in parents
        ]
        yield f"{made_from.get('how')}, of {', '.join(named)}"
        made_from = parents[0].get("made_from") if len(parents) == 1 else None


def _source_of(parent: dict[str, Any]) -> str:
    source = parent.get("source")
    return f", of {source.get('name')}" if isinstance(source, dict) else ""


def _digests(digests: Any) -> str:
    if not isinstance(digests, list) or not digests or digests[0] is None:
        return "not known"
    return f"{str(digests[0])[:12]}" + (f" and {len(digests) - 1} more" if len(digests) > 1 else "")


def _option(name: str, value: Any) -> str:
    """As on the command line, where that is no plain switch."""
    if name == "exif" and isinstance(value, bool):
        return f"exif-orientation {'apply' if value else 'ignore'}"
    return f"{name} { ({True: 'yes', False: 'no'}[value] if isinstance(value, bool) else value) }"


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _print_left_out(path: Path, built: Description) -> None:
    left_out = [*built.unreadable, *built.refused]
    for bad in left_out[:SHOWN_BAD]:
        print(f"left out: {printable(str(bad))}")
    if len(left_out) > SHOWN_BAD:
        where = path / FILE_NAME if (path / FILE_NAME).exists() else f"the {FILE_NAME} of each LMDB in {path}"
        print(f"left out: {len(left_out) - SHOWN_BAD:,} more, all named in {where}")
