"""One part, in this process: `python -m gpu_check.part NAME RESULT.json OPTIONS`, the options of gpu_check.sh."""

import importlib
import json
import sys
from pathlib import Path

from batchbrew.atomic import write_file
from batchbrew.errors import BatchBrewError
from gpu_check.settings import PARTS, read_options


def main() -> None:
    """Run it; write what it found, and what of that is a fault. Ends with 1 and one line where it cannot be run."""
    name, result, *arguments = sys.argv[1:]
    assert name in PARTS
    try:
        module = importlib.import_module(f"gpu_check.{name}")
        found = module.run(read_options(arguments).settings)
        told = {"faults": module.faults(found), "lines": module.lines(found), "found": found}
        write_file(Path(result), json.dumps(told))
    except BatchBrewError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
