"""Training from an LMDB of JPEGs beside the same with made-up images: is the net ever waiting for its data?"""

import tempfile
from pathlib import Path
from typing import Any

from benchmark_nets import NETS
from lmdb_times import measure_from_lmdb
from made_up_lmdb import made_up_lmdb
from subjects import Place

from batchbrew.solver.precision import PRECISIONS
from gpu_check.settings import Settings

CLASSES = 10
Found = dict[str, Any]


def run(settings: Settings) -> Found:
    """A row for each net, as of end_to_end.py."""
    with tempfile.TemporaryDirectory(prefix="batchbrew-gpu-check-") as name:
        path = made_up_lmdb(Path(name) / "lmdb", settings.lmdb_images, CLASSES)
        place, length = Place(settings.gpu), settings.from_lmdb
        rows = [measure_from_lmdb(net, path, settings.precisions, place, length) for net in settings.nets]
    return {"images": settings.lmdb_images, "rows": rows}


def faults(found: Found) -> list[str]:
    """There are none: how fast is fast enough is not said here."""
    return []


def lines(found: Found) -> list[str]:
    """For the screen."""
    told = []
    for row in found["rows"]:
        for precision in PRECISIONS:
            if (share := row.get(f"{precision}_lmdb_by_synthetic")) is None:
                continue
            rates = [
                row["subjects"][f"engine_{precision}{end}"]["images_per_second"] for end in ("_lmdb", "")
            ]
            told.append(
                f"{NETS[row['net']].title}, batch {row['batch']}, {precision}: {rates[0]:,.1f} images/s from the LMDB, "
                f"{rates[1]:,.1f} made up: {100 * share:.1f}%"
            )
    return told
