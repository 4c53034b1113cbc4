#!/usr/bin/env python3
"""Generate an AlexNet's prototxt files; runs from a checkout in which nothing is installed but protobuf."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if __name__ == "__main__":
    try:
        from batchbrew.nets.command import main
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "google":
            raise
        sys.exit("generate_alexnet.py: error: the Python package protobuf is missing: pip install protobuf")
    sys.exit(main("alexnet"))
