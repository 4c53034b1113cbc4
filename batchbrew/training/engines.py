"""Which Caffe there is: the interpreters in which `import caffe` works, and what each can do."""

import os
from dataclasses import dataclass
from pathlib import Path

from batchbrew.errors import EngineError

ENVIRONMENT_VARIABLE = "BATCHBREW_CAFFE_PYTHON"
INSTALL_HINT = (
    "run scripts/install_caffe.sh, or name the Python of your own Caffe "
    f"with --caffe-python or {ENVIRONMENT_VARIABLE}"
)


@dataclass(frozen=True)
class CaffePython:
    """A Python interpreter that should have pycaffe, and who named it."""

    path: Path
    source: str


def caffe_home() -> Path:
    """The folder into which scripts/install_caffe.sh unpacks Debian's Caffe."""
    if home := os.environ.get("BATCHBREW_CAFFE_HOME"):
        return Path(home)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "batchbrew" / "caffe"


def find_caffe_python(named: Path | None = None) -> CaffePython:
    """The interpreter for the `bvlc` engine.

    In this order: the one named on the command line, the environment variable BATCHBREW_CAFFE_PYTHON, the
    one that scripts/install_caffe.sh unpacked. Raises EngineError if that one cannot be run; a named
    interpreter is never silently replaced by another.
    """
    if named is not None:
        candidate = CaffePython(named, "--caffe-python")
    elif path := os.environ.get(ENVIRONMENT_VARIABLE):
        candidate = CaffePython(Path(path), ENVIRONMENT_VARIABLE)
    else:
        candidate = CaffePython(caffe_home() / "bin" / "caffe-python", "scripts/install_caffe.sh")
        if not candidate.path.exists():
            raise EngineError(f"no Caffe is installed ({candidate.path} is not there): {INSTALL_HINT}")
    if not candidate.path.is_file() or not os.access(candidate.path, os.X_OK):
        raise EngineError(
            f"{candidate.path} (from {candidate.source}) is not an executable Python: {INSTALL_HINT}"
        )
    return candidate
