"""What several data sets hold together, by what their dataset.json files tell: shards of one, or what is merged."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from batchbrew.dataset.description import Description
from batchbrew.dataset.pixel_sums import PixelSums

NAMED_ODD = 1000  # paths, as in what they are taken from
COMMONEST_SIZES = 50
OTHERS = "other"
SIZE = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")


def common(descriptions: Sequence[Description | None], field: str) -> Any:
    """The field where all have the same, else None."""
    values = [None if each is None else getattr(each, field) for each in descriptions]
    return values[0] if all(value == values[0] for value in values) else None


def added_up(descriptions: Sequence[Description]) -> dict[str, Any]:
    """What is counted of the images that went in, and the mean and deviation of all, as a build would write it."""
    fields: dict[str, Any] = {
        "kinds": _largest_first(_total(each.kinds for each in descriptions)),
        "source_short_sides": _in_order(_total(each.source_short_sides for each in descriptions)),
        "passed_through": sum(each.passed_through for each in descriptions),
    }
    for name in ("source_sizes", "stored_sizes"):
        fields[name] = _commonest(_total(getattr(each, name) for each in descriptions))
    odd: dict[str, dict[str, Any]] = {}
    for each in descriptions:
        for kind, found in each.odd.items():
            known = odd.setdefault(kind, {"count": 0, "images": []})
            known["count"] += found["count"]
            known["images"] = [*known["images"], *found["images"]][:NAMED_ODD]
    sums = pixel_sums(descriptions)
    if sums is not None and sums.pixels:
        fields |= {"mean": sums.mean(), "std": sums.std(), "pixel_sums": sums.to_json()}
    return fields | {"odd": dict(sorted(odd.items()))}


def pixel_sums(descriptions: Sequence[Description]) -> PixelSums | None:
    """Of all, where all tell them, and of the same channels."""
    told = [PixelSums.from_json(each.pixel_sums) for each in descriptions if each.pixel_sums is not None]
    if len(told) < len(descriptions) or len({len(each.sums) for each in told}) != 1:
        return None
    return reduce(PixelSums.plus, told)


def description_of_set(descriptions: Sequence[Description]) -> Description:
    """Of LMDBs that are one data set: what they have in common, and what adds up. It has no checksum."""
    return Description(
        images=sum(each.images for each in descriptions),
        classes=max(each.classes for each in descriptions),
        label_counts=dict(sorted(_total(each.label_counts for each in descriptions).items())),
        class_names=common(descriptions, "class_names"),
        short_side=common(descriptions, "short_side"),
        quality=common(descriptions, "quality"),
        seed=common(descriptions, "seed"),
        unreadable=[bad for each in descriptions for bad in each.unreadable],
        total_bytes=sum(each.total_bytes for each in descriptions),
        sha256="",
        version=" and ".join(sorted({str(each.version) for each in descriptions})),
        refused=[bad for each in descriptions for bad in each.refused],
        source=common(descriptions, "source"),
        options=common(descriptions, "options"),
        libraries=common(descriptions, "libraries") or {},
        made_from=common(descriptions, "made_from"),
        **added_up(descriptions),
    )


def _total(counts: Iterable[dict[Any, int]]) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for each in counts:
        total.update(each)
    return total


def _largest_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _in_order(counts: Counter[str]) -> dict[str, int]:
    """Ranges as "64-127", by their beginnings."""

    def beginning(item: tuple[str, int]) -> tuple[int, str]:
        found = re.match(r"[0-9]{1,9}", item[0])
        return int(found[0]) if found else 0, item[0]

    return dict(sorted(counts.items(), key=beginning))


def _commonest(counts: Counter[str]) -> dict[str, int]:
    others = counts.pop(OTHERS, 0)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], _rows_first(item[0])))
    others += sum(count for _, count in ordered[COMMONEST_SIZES:])
    return dict(ordered[:COMMONEST_SIZES]) | ({OTHERS: others} if others else {})


def _rows_first(size: str) -> tuple[int, int, str]:
    found = SIZE.fullmatch(size)
    return (int(found[2]), int(found[1]), "") if found else (0, 0, size)
