"""Runs a pycaffe script on this engine, as the Python interpreter itself would run it."""

import builtins
import importlib.util
import io
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from batchbrew.allocator import keep_freed_tensors
from batchbrew.caffe import alias
from batchbrew.errors import BatchBrewError, InputError

USAGE = """\
Usage: python -m batchbrew.caffe SCRIPT.py [ARGUMENTS]
       python -m batchbrew.caffe -m MODULE [ARGUMENTS]
       python -m batchbrew.caffe -c CODE [ARGUMENTS]

Runs a pycaffe script on PyTorch: its `import caffe` finds batchbrew.caffe. Everything else is as with
`python SCRIPT.py`. Options of Python itself come first: python -u -m batchbrew.caffe SCRIPT.py

Example: python -m batchbrew.caffe classify.py --gpu images/cat.jpg
"""

_Program = tuple[CodeType, dict[str, Any]]  # what to run, and the attributes of its __main__

_main: ModuleType | None = None  # kept: threads and exit handlers of the script use it when it has ended


def main(arguments: Sequence[str]) -> None:
    """Run what the command line names; ends as the script does. A wrong command line is one line, and exit 2."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return
    try:
        find, name, rest = _parsed(arguments)
        alias.install()
        program = find(name, rest)
    except InputError as error:
        print(f"batchbrew.caffe: {error}", file=sys.stderr)
        sys.exit(2)
    except _NoModule as error:
        print(f"{sys.executable}: {error}", file=sys.stderr)
        sys.exit(1)
    except BaseException as error:  # a syntax error, say
        _begin_traceback_at_script(error)
        raise
    keep_freed_tensors()
    _run(*program)


class _NoModule(BatchBrewError):
    """`-m` with a module that does not exist: exit 1, as Python does it."""


def _parsed(arguments: Sequence[str]) -> tuple[Callable[[str, Sequence[str]], _Program], str, Sequence[str]]:
    first, *rest = arguments
    kinds = {"-c": _code, "-m": _module}
    if first[:2] in kinds:
        if not first[2:] and not rest:
            raise InputError(f"{first} needs {'code' if first == '-c' else 'a module'}: see --help")
        return (kinds[first[:2]], first[2:], rest) if first[2:] else (kinds[first], rest[0], rest[1:])
    if first.startswith("-") and first != "-":
        raise InputError(
            f"unknown option {first}: Python's own come before: python {first} -m batchbrew.caffe SCRIPT.py; see --help"
        )
    return _script, first, rest


def _script(name: str, rest: Sequence[str]) -> _Program:
    sys.argv = [name, *rest]
    if name == "-":
        _set_first_path("")
        return compile(sys.stdin.read(), "<stdin>", "exec", dont_inherit=True), {}
    path = Path(name)
    if path.is_dir():
        return _folder(path)
    try:
        with io.open_code(str(path.absolute())) as file:
            source = file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"can't open script {name!r}: {reason}; give a file, or -m and a module") from error
    _set_first_path(str(path.resolve().parent))
    code = compile(source, str(path.absolute()), "exec", dont_inherit=True)
    return code, {"__file__": str(path.absolute()), "__loader__": SourceFileLoader("__main__", str(path))}


def _folder(path: Path) -> _Program:
    """A folder with a __main__.py is a program too."""
    _set_first_path(str(path.absolute()))
    if not (path / "__main__.py").is_file():
        raise InputError(f"can't find '__main__' module in folder {str(path)!r}: give a script")
    return _of_spec(
        _found("__main__.py", importlib.util.spec_from_file_location("__main__", path / "__main__.py"))
    )


def _code(code: str, rest: Sequence[str]) -> _Program:
    sys.argv = ["-c", *rest]
    _set_first_path("")
    return compile(code, "<string>", "exec", dont_inherit=True), {}


def _module(name: str, rest: Sequence[str]) -> _Program:
    sys.argv = ["-m", *rest]  # the first is the file's path, as soon as that is known
    _set_first_path(str(Path.cwd()))
    spec = _found(name, _spec(name))
    if spec.submodule_search_locations is not None:
        if name == alias.ALIAS or spec.name == alias.OURS:
            raise InputError(f"-m {name} is this program: name a script to run")
        spec = _found(
            f"{name}.__main__; {name!r} is a package and cannot be directly executed",
            _spec(f"{name}.__main__"),
        )
    program = _of_spec(spec)
    sys.argv[0] = spec.origin or name
    return program


def _spec(name: str) -> ModuleSpec | None:
    if name.startswith("."):
        return None
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # a package on the way is there, but imports what is not
        return None
    except ValueError:  # a module that has no spec
        return None


def _found(name: str, spec: ModuleSpec | None) -> ModuleSpec:
    if spec is None:
        raise _NoModule(f"No module named {name}")
    return spec


def _of_spec(spec: ModuleSpec) -> _Program:
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code else None
    if code is None:
        raise _NoModule(f"No code object available for {spec.name}")
    attributes = {
        "__file__": spec.origin,
        "__cached__": spec.cached,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__spec__": spec,
    }
    return code, attributes


def _set_first_path(folder: str) -> None:
    """Python puts the script's folder first, in place of the one that is there for our own `-m`; -P leaves both."""
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = folder


def _run(code: CodeType, attributes: dict[str, Any]) -> None:
    global _main
    module = ModuleType("__main__")
    empty: dict[str, Any] = {"__spec__": None, "__package__": None, "__cached__": None, "__annotations__": {}}
    module.__dict__.update(empty | {"__builtins__": builtins} | attributes)
    _main = sys.modules["__main__"] = module
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        _begin_traceback_at_script(error)
        raise


def _begin_traceback_at_script(error: BaseException) -> None:
    """Have the interpreter show, by whatever hook the script set, the script's own frames of `error`."""
    traceback, hook = error.__traceback__, sys.excepthook
    while traceback is not None and _is_on_the_way(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next

    def show(kind: type[BaseException], value: BaseException, shown: TracebackType | None) -> None:
        if value is error:
            value.__traceback__ = shown = traceback
        hook(kind, value, shown)

    sys.excepthook = show


def _is_on_the_way(file: str) -> bool:
    return (
        file == __file__
        or file.startswith("<frozen importlib")
        or Path(file) == Path(importlib.util.__file__)
    )
