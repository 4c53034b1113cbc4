"""What makes two builds the same: their source, their options, and the software that decodes."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

import cv2

import batchbrew
from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.description import Description
from batchbrew.dataset.sources import Source

Plan = dict[str, Any]
CLASS_NAMES = "class_names"


def plan_of(source: Source, options: BuildOptions) -> Plan:
    """As in plan.json. Reads the size of every file of the source (its digest)."""
    class_names = options.class_names or source.class_names
    return {
        "version": batchbrew.__version__,
        "libraries": libraries(),
        "source": {"name": source.name, "digest": source.digest(), "images": len(source.entries)},
        "options": asdict(options.images),
        "seed": options.seed,
        "shard": None if options.shard is None else [options.shard, options.shards],
        "shards": options.shards,
        CLASS_NAMES: list(class_names) if class_names else None,
    }


def libraries() -> dict[str, str]:
    """What pixels and JPEGs depend on."""
    return {"opencv": cv2.__version__, "pillow": metadata.version("pillow")}


def plan_behind(description: Description) -> Plan:
    """The plan of a finished LMDB."""
    return {
        "version": description.version,
        "libraries": description.libraries,
        "source": description.source,
        "options": description.options,
        "seed": description.seed,
        "shard": description.shard,
        "shards": description.shard[1] if description.shard else 1,
        CLASS_NAMES: description.class_names,
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Where two plans are not of the same build: "quality: 95 then, 90 now". A source may have been moved."""
    before, after = _flat(then), _flat(now)
    changed = [
        f"{name}: {before.get(name)} then, {after.get(name)} now"
        for name in {**before, **after}
        if name != CLASS_NAMES and before.get(name) != after.get(name)
    ]
    return [*changed, *_other_names(before.get(CLASS_NAMES), after.get(CLASS_NAMES))]


def _other_names(then: list[str] | None, now: list[str] | None) -> list[str]:
    """As in `differences`; the first name that differs, since there may be thousands."""
    if then == now:
        return []
    if then is None or now is None or len(then) != len(now):
        counts = (len(names) if names else "none" for names in (then, now))
        return ["class names: {} then, {} now".format(*counts)]
    label = next(label for label, name in enumerate(then) if name != now[label])
    return [f"class name of label {label}: {then[label]!r} then, {now[label]!r} now"]


def _flat(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Without the source's name, which is not compared; the digest under a name that users understand."""
    flat: dict[str, Any] = {}
    for name, value in plan.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    flat.pop("name", None)
    flat["source (SHA-256 of paths, labels and sizes)"] = str(flat.pop("digest", None))[:16]
    return flat
