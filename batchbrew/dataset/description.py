"""dataset.json: what lies beside data.mdb and says how the LMDB came about and what it must contain."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

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
    """A built data set. Images listed = images + unreadable."""

    images: int
    classes: int
    label_counts: dict[int, int]
    """Label → images in the LMDB; a class without any has 0."""
    class_names: list[str] | None
    short_side: int
    quality: int
    seed: int | None
    """None: in the order of the list."""
    unreadable: list[Unreadable]
    total_bytes: int
    """Of all values (Datum messages)."""
    sha256: str
    """Over every key and value, in order: two equal data sets have the same."""
    version: str
    """The BatchBrew that built it."""

    @property
    def listed(self) -> int:
        """How many images went in."""
        return self.images + len(self.unreadable)

    def to_json(self) -> str:
        """One field a line, one unreadable image a line."""
        fields = asdict(self)
        fields["unreadable"] = [bad._asdict() for bad in self.unreadable]
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


def _from_fields(fields: dict[str, object]) -> Description:
    unreadable = [Unreadable(**bad) for bad in fields.pop("unreadable")]  # type: ignore[attr-defined]
    counts = fields.pop("label_counts")
    label_counts = {int(label): int(count) for label, count in counts.items()}  # type: ignore[attr-defined]
    description = Description(unreadable=unreadable, label_counts=label_counts, **fields)  # type: ignore[arg-type]
    for name in ("images", "classes", "short_side", "quality", "total_bytes"):
        if not isinstance(getattr(description, name), int):
            raise ValueError(f"{name} is {getattr(description, name)!r}")
    return description
