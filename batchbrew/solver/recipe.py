"""Training recipes (`solvers/*.yaml`): what a key may hold, and reading with the line of each complaint.

A recipe has two levels, sections and keys; a key is called by its full name, `training.epochs`. What keys there
are is not decided here: they are the options of the generators (batchbrew.nets.recipes).
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from batchbrew.errors import InputError

LARGEST_BYTES = 1 << 20  # a recipe is a page; this is something else

Value = int | float | str | bool
_IN_WORDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


@dataclass(frozen=True)
class Key:
    """What a key may hold: a `kind`, one of `choices` if there are any, or, if `several`, a list of them too."""

    kind: type[int] | type[float] | type[str] | type[bool]
    choices: Sequence[str] = ()
    several: bool = False


class Recipe:
    """A recipe's values by full key name, as YAML has them; `values` gives them checked."""

    def __init__(self, path: Path, text: str) -> None:
        """Raises InputError for what is no YAML, no two levels of keys, or has a key twice."""
        self.path = path
        self.text = text
        self._nodes = self._flattened(self._composed())

    def _composed(self) -> yaml.Node | None:
        try:
            node: yaml.Node | None = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(f"not YAML: {error.problem}", mark) from error
        except RecursionError as error:
            raise self._error("it is nested too deeply for a recipe") from error
        except yaml.YAMLError as error:  # a character that YAML does not allow
            raise self._error(f"not YAML: {' '.join(str(error).split())}") from error
        return node

    def _flattened(self, root: yaml.Node | None) -> dict[str, yaml.Node]:
        nodes: dict[str, yaml.Node] = {}
        for section, body in self._entries(root, "").items():
            nodes |= self._entries(body, f"{section}.")
        return nodes

    def _entries(self, node: yaml.Node | None, prefix: str) -> dict[str, yaml.Node]:
        name = prefix.rstrip(".") or "the recipe"
        if not isinstance(node, yaml.MappingNode):
            raise self._error(f"{name} must be lines of `key: value`", node and node.start_mark)
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(f"a key of {name} is no word", key.start_mark)
            full = prefix + key.value
            if full in entries:
                first = entries[full].start_mark.line + 1
                raise self._error(f"{full} is here twice, first in line {first}", key.start_mark)
            entries[full] = value
        return entries

    def value(self, name: str, key: Key) -> Value:
        """The value of a key that must be there. Raises InputError as `values` does, or if it is not there."""
        if name not in self._nodes:
            raise self._error(f"{name} is missing")
        value = self._checked(name, key)
        assert not isinstance(value, list), "a key with one value"
        return value

    def optional(self, name: str, key: Key) -> Value | None:
        """The value of a key, None where it is not there. Raises InputError as `values` does."""
        return self.value(name, key) if name in self._nodes else None

    def values(self, keys: Mapping[str, Key]) -> dict[str, Value | list[Value]]:
        """All values, by full key name. Raises InputError for a key that is not in `keys`, and for a wrong type."""
        for name, node in self._nodes.items():
            if name not in keys:
                raise self._error(f"{name} is no key of a recipe{_meant(name, list(keys))}", node.start_mark)
        return {name: self._checked(name, keys[name]) for name in self._nodes}

    def _checked(self, name: str, key: Key) -> Value | list[Value]:
        node = self._nodes[name]
        if key.several and isinstance(node, yaml.SequenceNode):
            if not node.value:
                raise self._error(f"{name} is an empty list: leave it out", node.start_mark)
            return [self._scalar(name, key, item) for item in node.value]
        return self._scalar(name, key, node)

    def _scalar(self, name: str, key: Key, node: yaml.Node) -> Value:
        wanted = f"one of {', '.join(key.choices)}" if key.choices else _IN_WORDS[key.kind]
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(f"{name} must be {wanted}, not a list or a section", node.start_mark)
        value = _typed(node, key.kind)
        if value is None or (key.choices and value not in key.choices):
            raise self._error(f"{name} must be {wanted}, not {node.value or 'nothing'!r}", node.start_mark)
        return value

    def _error(self, message: str, mark: Any = None) -> InputError:
        where = f"{self.path}, line {mark.line + 1}" if mark is not None else str(self.path)
        return InputError(f"{where}: {message}")


def _typed(node: yaml.ScalarNode, kind: type) -> Value | None:
    """The node as a `kind`; None if it is none. True is no 1; for YAML 1.1 the number 1e-4 is a word."""
    try:
        value: Any = yaml.SafeLoader("").construct_object(node)
    except (ValueError, yaml.YAMLError):  # a date that is none, a tag of Python's
        return None
    if kind is float and type(value) is str and not node.style:
        try:
            value = float(value)
        except ValueError:
            return None
    if kind is float and type(value) is int:
        value = float(value)
    return cast(Value, value) if type(value) is kind else None


def _meant(name: str, known: list[str]) -> str:
    """What to write instead of the unknown `name`."""
    section, _, bare = name.partition(".")
    siblings = [key.removeprefix(f"{section}.") for key in known if key.startswith(f"{section}.")]
    if near := difflib.get_close_matches(bare, siblings, n=1):
        return f": did you mean {section}.{near[0]}?"
    if elsewhere := [key for key in known if key.partition(".")[2] == bare]:
        return f": did you mean {elsewhere[0]}?"
    if siblings:
        return f": in this section there are {', '.join(siblings)}"
    return f": its sections are {', '.join(sorted({key.partition('.')[0] for key in known}))}"


def read_recipe(path: Path) -> Recipe:
    """Raises InputError if `path` cannot be read or is no recipe."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise InputError(f"{path} is larger than {LARGEST_BYTES:,} bytes: it is no recipe")
        return Recipe(path, content.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8") from error
