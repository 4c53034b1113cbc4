"""The dataset.json of an LMDB that was made from others: what it holds, and where that comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import batchbrew
from batchbrew.dataset.building.record_writer import RecordWriter
from batchbrew.dataset.combining import added_up, common
from batchbrew.dataset.description import Description, Unreadable, read_description
from batchbrew.dataset.shards import lmdbs_in


@dataclass(frozen=True)
class Parent:
    """A data set that records are taken from."""

    path: Path
    images: int
    descriptions: Sequence[Description | None]
    """Of its LMDBs, in their order."""

    @classmethod
    def at(cls, path: Path, images: int) -> "Parent":
        """Raises InputError for a dataset.json that cannot be understood."""
        return cls(path, images, [read_description(lmdb) for lmdb in lmdbs_in(path)])

    @property
    def class_names(self) -> list[str] | None:
        """Where they are known, and the same for all its LMDBs."""
        names: list[str] | None = common(self.descriptions, "class_names")
        return names

    @property
    def known_classes(self) -> int | None:
        """How many, where that is known."""
        if any(each is None for each in self.descriptions):
            return None
        return max(each.classes for each in self.descriptions if each is not None)

    def to_json(self) -> dict[str, Any]:
        """Its name, what it held, and where it came from in its turn, without a path of this machine."""
        known = {
            "name": self.path.name,
            "images": self.images,
            "sha256": [_digest(each) for each in self.descriptions],
        }
        for field in ("source", "options", "seed", "made_from"):
            if (value := common(self.descriptions, field)) is not None:
                known[field] = value
        return known


def derived(
    how: str,
    parents: Sequence[Parent],
    writer: RecordWriter,
    *,
    class_names: Sequence[str] | None,
    whole: bool = False,
    relabelled: bool = False,
    seed: int | None = None,
    offsets: Sequence[int] | None = None,
) -> Description:
    """Of what `writer` has written, made from `parents` in the way that `how` says: "shuffled with seed 3".

    With `whole` all their records are in it, so that it tells of their images too what theirs did; `offsets` were then
    added to the labels of each. `relabelled`: what their labels were no longer says how many classes there are.
    """
    shifted = list(zip(parents, offsets or [0] * len(parents), strict=True))
    known = [0 if relabelled else (parent.known_classes or 0) + offset for parent, offset in shifted]
    all_of_them = [each for parent in parents for each in parent.descriptions]
    fields: dict[str, Any] = {}
    if whole and None not in all_of_them:
        fields = added_up([each for each in all_of_them if each is not None])
        fields |= _left_out(shifted)
        if len(all_of_them) == 1:
            # Older files have no sums.
            fields |= {name: common(all_of_them, name) for name in ("mean", "std")}
    fields.setdefault("unreadable", [])
    return Description(
        images=writer.images,
        classes=max(*known, len(class_names or ()), 1 + max(writer.label_counts)),
        label_counts={
            label: writer.label_counts[label]
            for label in sorted({*range(len(class_names or ())), *writer.label_counts})
        },
        class_names=None if class_names is None else list(class_names),
        short_side=common(all_of_them, "short_side"),
        quality=common(all_of_them, "quality"),
        seed=seed,
        total_bytes=writer.total_bytes,
        sha256=writer.digest.hexdigest(),
        version=batchbrew.__version__,
        options=common(all_of_them, "options"),
        libraries=common(all_of_them, "libraries") or {},
        made_from={"how": how, "from": [parent.to_json() for parent in parents]},
        **fields,
    )


def _digest(description: Description | None) -> str | None:
    return None if description is None else description.sha256


def _left_out(shifted: Sequence[tuple[Parent, int]]) -> dict[str, list[Unreadable]]:
    """What is in none of them."""
    return {
        name: [
            bad._replace(label=bad.label + offset)
            for parent, offset in shifted
            for each in parent.descriptions
            if each is not None
            for bad in getattr(each, name)
        ]
        for name in ("unreadable", "refused")
    }
