"""How far a build is, and what it counted: a line for each transaction of its LMDB, on the disk before that.

So the LMDB is never ahead of the journal. After a kill or a power cut it holds exactly the records of the journal's
first lines; a last line may speak of a transaction that never was, or may itself be cut: it is dropped.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchbrew.dataset.building.tally import Tally


@dataclass(frozen=True)
class Progress:
    """What is in the LMDB."""

    position: int
    """So many entries of the order are dealt with."""
    images: int
    """So many of them are records."""
    tally: Tally


class JournalDamage(Exception):
    """It does not fit the LMDB; the text says how."""


class Journal:
    """The file `path`, open for appending; raises OSError."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def append(self, position: int, images: int, batch: Tally) -> None:
        """Say what the next transaction holds, counted since the last one; on the disk when this returns."""
        fields = {"position": position, "images": images, "tally": batch.to_json()}
        line = memoryview(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        while line:
            line = line[os.write(self._handle, line) :]
        os.fsync(self._handle)

    def go_back_to(self, images: int) -> Progress:
        """Forget the lines that the LMDB, of that many records, has nothing of; returns what the others say.

        Raises JournalDamage if the LMDB ends in the midst of a line, or a line makes no sense.
        """
        kept_bytes, position, counted, tally = 0, 0, 0, Tally()
        with os.fdopen(os.dup(self._handle), "rb") as file:
            file.seek(0)
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    fields = json.loads(line)
                    if fields["images"] > images:
                        break
                    batch = Tally.from_json(fields["tally"])
                    position, counted = _counts(fields)
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise JournalDamage(f"line {number} of its journal makes no sense ({error})") from error
                tally.merge(batch)
                kept_bytes += len(line)
        if counted != images:
            raise JournalDamage(f"its journal speaks of {counted:,} records, its LMDB has {images:,}")
        os.ftruncate(self._handle, kept_bytes)
        return Progress(position, images, tally)


def _counts(fields: dict[str, Any]) -> tuple[int, int]:
    position, images = fields["position"], fields["images"]
    if not (isinstance(position, int) and isinstance(images, int) and 0 <= images <= position):
        raise ValueError(f"{images!r} of {position!r}")
    return position, images
