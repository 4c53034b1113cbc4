"""dataset.json: what lies beside data.mdb and says how the LMDB came about and what it must contain.

It names no time and no machine: equal builds have equal files.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from batchbrew.dataset.pixel_sums import PixelSums
from batchbrew.errors import InputError

FILE_NAME = "dataset.json"


class Unreadable(NamedTuple):
    """An image that was listed and is not in the LMDB, and why."""

    path: str
    label: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


@dataclass(frozen=True)
class Description:
    """A built data set. Images listed = images + unreadable + refused.

    What has a default came later: older files lack it.
    """

    images: int
    classes: int
    label_counts: dict[int, int]
    """Label → images in the LMDB; a class without any has 0."""
    class_names: list[str] | None
    short_side: int | None
    """Of the stored images, where they all were brought to one."""
    quality: int | None
    """Of the JPEGs."""
    seed: int | None
    """None: in the order of the source."""
    unreadable: list[Unreadable]
    """Quarantined: they could not be made into records."""
    total_bytes: int
    """Of all values (Datum messages)."""
    sha256: str
    """Over every key and value, in order: two equal data sets have the same."""
    version: str
    """The BatchBrew that built it."""
    refused: list[Unreadable] = field(default_factory=list)
    """What the source held and would not hand out: members of an archive with hostile paths, say."""
    source: dict[str, Any] | None = None
    """name: in words; digest: SHA-256 over path, label and bytes of each image; images: how many it lists."""
    options: dict[str, Any] | None = None
    """As in ImageOptions."""
    shard: list[int] | None = None
    """Number, from 0, and how many there are."""
    mean: list[float] | None = None
    """Of the stored pixels of each channel, 0..255, BGR or grey, before the JPEG coding."""
    std: list[float] | None = None
    """The standard deviation, likewise."""
    pixel_sums: dict[str, Any] | None = None
    """What these two are made of: pixels, sums and squares, as in PixelSums."""
    source_short_sides: dict[str, int] = field(default_factory=dict)
    """From-to in pixels → images that came in with such a short side."""
    source_sizes: dict[str, int] = field(default_factory=dict)
    """Width x height as they came in → images; the commonest, then "other"."""
    stored_sizes: dict[str, int] = field(default_factory=dict)
    """The same of the stored images."""
    kinds: dict[str, int] = field(default_factory=dict)
    """JPEG, PNG, ... by the content of the files → images."""
    passed_through: int = 0
    """Images whose file is stored as it came."""
    odd: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was special and was dealt with → {count, images: paths of the first 1,000}."""
    libraries: dict[str, str] = field(default_factory=dict)
    """What decoded and coded the images → version."""
    made_from: dict[str, Any] | None = None
    """Of an LMDB made from others: how, and their digests."""

    @property
    def listed(self) -> int:
        """How many images went in."""
        return self.images + len(self.unreadable) + len(self.refused)

    def to_json(self) -> str:
        """One field a line, one unreadable image a line."""
        fields = asdict(self)
        for name in ("unreadable", "refused"):
            fields[name] = [bad._asdict() for bad in getattr(self, name)]
        return json.dumps(fields, indent=1) + "\n"


def read_description(folder: Path) -> Description | None:
    """The description in an LMDB's folder; None if there is none (another tool made the LMDB).

    Raises InputError if there is one that cannot be understood.
    """
    path = folder / FILE_NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return _from_fields(fields)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} does not describe a data set ({' '.join(str(error).split())}): remove it or build anew"
        ) from error


def _from_fields(fields: dict[str, Any]) -> Description:
    for name in ("unreadable", "refused"):
        if name in fields or name == "unreadable":
            fields[name] = [Unreadable(**bad) for bad in fields[name]]
    counts = fields.pop("label_counts")
    label_counts = {int(label): int(count) for label, count in counts.items()}
    description = Description(label_counts=label_counts, **fields)
    for name, kinds in _KINDS.items():
        if not isinstance(getattr(description, name), kinds):
            raise ValueError(f"{name} is {getattr(description, name)!r}")
    if description.pixel_sums is not None:
        PixelSums.from_json(description.pixel_sums)
    for name, values, kind in _inner_values(description):
        if not all(isinstance(value, kind) for value in values):
            raise ValueError(
                f"{name} holds {next(value for value in values if not isinstance(value, kind))!r}"
            )
    return description


def _inner_values(description: Description) -> Iterator[tuple[str, Sequence[Any], type | tuple[type, ...]]]:
    """Lists and tables, and of what kind all in them must be."""
    yield "class_names", description.class_names or [], str
    for name in ("mean", "std"):
        yield name, getattr(description, name) or [], (int, float)
    for name in ("source_short_sides", "source_sizes", "stored_sizes", "kinds"):
        yield name, list(getattr(description, name).values()), int
    found = list(description.odd.values())
    yield "odd", found, dict
    yield "odd", [each.get("count") for each in found if isinstance(each, dict)], int
    yield "odd", [each.get("images") for each in found if isinstance(each, dict)], list


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("images", "classes", "total_bytes", "passed_through"), int),
    **dict.fromkeys(("short_side", "quality"), (int, type(None))),
    **dict.fromkeys(("source", "options", "made_from", "pixel_sums"), (dict, type(None))),
    **dict.fromkeys(("mean", "std", "shard", "class_names"), (list, type(None))),
    **dict.fromkeys(
        ("source_short_sides", "source_sizes", "stored_sizes", "kinds", "odd", "libraries"), dict
    ),
}
