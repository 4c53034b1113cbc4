#!/usr/bin/env python3
"""Seconds from typing a generator's name to its files, the start of Python included.

.venv/bin/python benchmarks/generate.py
"""

import statistics
import sys
import tempfile
from pathlib import Path

from measuring import alternate, seconds_of, write_results

GENERATOR = Path(__file__).parent.parent / "generators" / "generate_resnet.py"
ROUNDS = 9


def main() -> None:
    """Measure --help, and a whole generation at three depths."""
    with tempfile.TemporaryDirectory() as folder:

        def generation(depth: int) -> float:
            sources = ("--train", "train_lmdb", "--val", "val_lmdb", "--out", f"{folder}/resnet{depth}")
            return seconds_of([sys.executable, GENERATOR, "--depth", str(depth), *sources])

        seconds = alternate(
            ROUNDS,
            help=lambda: seconds_of([sys.executable, GENERATOR, "--help"]),
            resnet10=lambda: generation(10),
            resnet50=lambda: generation(50),
            resnet152=lambda: generation(152),
        )
    write_results(
        "generate",
        {f"{name}_seconds": round(statistics.median(taken), 3) for name, taken in seconds.items()},
    )


if __name__ == "__main__":
    main()
