"""`import caffe` finds batchbrew.caffe, and `import caffe.X` finds batchbrew.caffe.X: the same module objects."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

ALIAS = "caffe"
OURS = "batchbrew.caffe"


class _Finder(MetaPathFinder):
    """Stands before all others, so that a pycaffe elsewhere on the path is not found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != ALIAS and not fullname.startswith(f"{ALIAS}."):
            return None
        name = OURS + fullname.removeprefix(ALIAS)
        found = importlib.util.find_spec(name)
        if found is None:  # and nobody else will find it, since they look into our folder
            return None
        is_package = found.submodule_search_locations is not None
        return ModuleSpec(fullname, _Loader(name), origin=found.origin, is_package=is_package)


class _Loader(Loader):
    """Gives a module that is imported under its own name, and leaves it as it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._name)
        self._own_spec = module.__spec__  # the import system is about to replace it by `spec`
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec


def install() -> None:
    """Have every `import caffe` of this process, in all its threads, find ours. Again, it does nothing."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    for name in [name for name in sys.modules if name == ALIAS or name.startswith(f"{ALIAS}.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder())
