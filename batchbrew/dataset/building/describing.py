"""dataset.json of what was built."""

from collections import Counter
from typing import Any

from batchbrew.dataset.building.growing import Growing
from batchbrew.dataset.building.job import Job
from batchbrew.dataset.building.plan import CLASS_NAMES
from batchbrew.dataset.building.tally import Size, Tally
from batchbrew.dataset.description import Description
from batchbrew.dataset.sources import Source
from batchbrew.errors import InputError

COMMONEST_SIZES = 50
SHORT_SIDE_STEP = 64


def describe(growing: Growing, job: Job) -> Description:
    """Of an LMDB with all its records."""
    writer, tally, images = growing.writer, growing.tally, job.options.images
    names = job.plan[CLASS_NAMES]
    labels = set(range(len(names or ()))).union(label for _, label in job.source.entries)
    plan, sums = job.plan, tally.pixel_sums
    return Description(
        images=writer.images,
        classes=len(names) if names else 1 + max(labels),
        label_counts={label: writer.label_counts[label] for label in sorted(labels)},
        class_names=names,
        short_side=images.side if images.mode == "short" else None,
        quality=images.quality if images.encoding == "jpeg" else None,
        seed=job.options.seed,
        unreadable=growing.unreadable(),
        total_bytes=writer.total_bytes,
        sha256=writer.digest.hexdigest(),
        version=plan["version"],
        refused=list(job.refused),
        source=plan["source"],
        options=plan["options"],
        shard=plan["shard"],
        mean=sums.mean(),
        std=sums.std(),
        pixel_sums=sums.to_json(),
        source_short_sides=_short_sides(tally.source_sizes),
        source_sizes=_commonest(tally.source_sizes),
        stored_sizes=_commonest(tally.stored_sizes),
        kinds=_sorted(tally.kinds),
        passed_through=tally.passed_through,
        odd=_odd(tally, job.source),
        libraries=plan["libraries"],
    )


def check_totals(description: Description, listed: int) -> None:
    """Raises InputError unless every picture of the `listed` ones is accounted for."""
    built = description
    if built.listed != listed or sum(built.label_counts.values()) != built.images:
        raise InputError(
            f"the totals do not add up: {listed:,} images listed, but {built.images:,} written "
            f"({sum(built.label_counts.values()):,} by their labels), {len(built.unreadable):,} unreadable and "
            f"{len(built.refused):,} refused; begin anew with --force, and report this"
        )


def _odd(tally: Tally, source: Source) -> dict[str, dict[str, Any]]:
    return {
        kind: {
            "count": tally.odd[kind],
            "images": [source.entries[index].path for index in tally.odd_named[kind]],
        }
        for kind in sorted(tally.odd)
    }


def _short_sides(sizes: Counter[Size]) -> dict[str, int]:
    """In steps of 64 pixels: "256-319" → images."""
    bins: Counter[int] = Counter()
    for size, count in sizes.items():
        bins[min(size) // SHORT_SIDE_STEP] += count
    return {
        f"{SHORT_SIDE_STEP * step}-{SHORT_SIDE_STEP * (step + 1) - 1}": bins[step] for step in sorted(bins)
    }


def _commonest(sizes: Counter[Size]) -> dict[str, int]:
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    shown = {f"{width}x{height}": count for (height, width), count in ordered[:COMMONEST_SIZES]}
    others = sum(count for _, count in ordered[COMMONEST_SIZES:])
    return shown | ({"other": others} if others else {})


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
