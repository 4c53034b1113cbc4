"""The class names of several data sets together."""

from collections.abc import Sequence

from batchbrew.dataset.derivation import Parent
from batchbrew.errors import InputError


def joined_names(parents: Sequence[Parent]) -> list[str] | None:
    """Those of one behind those of the other, if all are known."""
    joined: list[str] = []
    for parent in parents:
        if parent.class_names is None:
            return None
        joined += parent.class_names
    return joined


def agreed_names(parents: Sequence[Parent]) -> list[str] | None:
    """Those of any that has some. Raises InputError if two do not agree."""
    named = [parent for parent in parents if parent.class_names is not None]
    for parent in named[1:]:
        first, other = named[0].class_names or [], parent.class_names or []
        if first != other:
            place = next((i for i, (a, b) in enumerate(zip(first, other, strict=False)) if a != b), None)
            differ = (
                f"label {place} is {other[place]!r} and {first[place]!r}" if place is not None
                else f"{len(other)} names and {len(first)}"
            )  # fmt: skip
            raise InputError(
                f"{parent.path} and {named[0].path} have other classes ({differ}): build them with one --classes file, "
                "or give --offset-labels if their classes have nothing to do with one another"
            )
    return named[0].class_names if named else None
