"""Which engines there are: our own on PyTorch, and the interpreters in which `import caffe` finds a real Caffe."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import batchbrew
from batchbrew.errors import EngineError, InputError
from batchbrew.training.fast_environment import fast_environment

ENVIRONMENT_VARIABLE = "BATCHBREW_CAFFE_PYTHON"
INSTALL_HINT = (
    "run scripts/install_caffe.sh, or name the Python of your own Caffe "
    f"with --caffe-python or {ENVIRONMENT_VARIABLE}"
)

DEFAULT_ENGINE = "torch"
TORCH_HINT = "pip install torch h5py, or use --engine bvlc"


@dataclass(frozen=True)
class Engine:
    """A Caffe that does jobs: `command` and a script's path run the script where `import caffe` finds it.

    `remedy` is what to do where that does not work. `skips_unread`: its data layers begin at any batch, and can be
    shuffled.
    """

    name: str
    command: tuple[str, ...]
    remedy: str
    environment: Mapping[str, str] = field(default_factory=dict)
    skips_unread: bool = False


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


def find_engine(name: str, caffe_python: Path | None = None) -> Engine:
    """The engine `torch` or `bvlc`; `caffe_python` is where the command line says that the latter is.

    Raises InputError for another name, EngineError for one that is not installed.
    """
    if name == "bvlc":
        return bvlc_engine(find_caffe_python(caffe_python).path)
    if name != "torch":
        raise InputError(f"--engine {name} is unknown: there are torch and bvlc")
    if caffe_python is not None:
        raise InputError(
            "--caffe-python names a real Caffe, which --engine torch does not use: give one of them"
        )
    return torch_engine()


def bvlc_engine(python: Path) -> Engine:
    """The real Caffe that the interpreter `python` has."""
    return Engine("bvlc", (str(python.absolute()),), INSTALL_HINT)


def torch_engine() -> Engine:
    """Our own (batchbrew.caffe), in this interpreter, with the environment in which it is fast.

    Raises EngineError where what it needs is not installed.
    """
    missing = [name for name in ("torch", "h5py") if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineError(f"--engine torch needs {' and '.join(missing)}: {TORCH_HINT}")
    # The worker is started in the run's own working directory, from where a checkout is not seen.
    home = str(Path(batchbrew.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    return Engine(
        "torch",
        (sys.executable, "-m", "batchbrew.caffe"),
        TORCH_HINT,
        {"PYTHONPATH": path, **fast_environment(os.environ)},
        skips_unread=True,
    )
