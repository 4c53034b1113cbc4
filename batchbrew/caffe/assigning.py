"""Python values into protobuf messages, as a net specification gives them."""

import difflib
import operator
from typing import Any

import numpy as np
from google.protobuf.message import Message

from batchbrew.errors import InputError
from batchbrew.proto.fields import Field, fields_of


class UnknownField(InputError, AttributeError):
    """A name that the message has no field of; an AttributeError, as protobuf's own."""


class WrongType(InputError, TypeError):
    """A value of a kind that the field does not hold; a TypeError, as protobuf's own."""


class WrongValue(InputError, ValueError):
    """A value outside of the field's range; a ValueError, as protobuf's own."""


def assign_proto(proto: Message, name: str, val: Any) -> None:
    """Set the field `name` of `proto`: a dict fills a message, a list a repeated field.

    What is repeated is appended to, and a single value counts as a list of one. Values must fit: an enum is
    given as its number (`params.Pooling.MAX`), not as its name. Raises UnknownField, WrongType, WrongValue.
    """
    field = _field(proto, name)
    if field.repeated:
        for value in val if isinstance(val, list) else [val]:
            _append(proto, field, value)
    elif isinstance(val, dict):
        if field.kind != "message":
            raise WrongType(f"{_where(proto, field)} takes one {_kind(field)}, not the dict {val!r}")
        for key, value in val.items():
            assign_proto(getattr(proto, name), key, value)
    else:
        _set(proto, field, val)


def has_field(proto: Message, name: str) -> bool:
    """Whether messages of this type have a field `name`, set or not."""
    return name in fields_of(proto.DESCRIPTOR)


def _field(proto: Message, name: str) -> Field:
    fields = fields_of(proto.DESCRIPTOR)
    if name in fields:
        return fields[name]
    close = difflib.get_close_matches(name, fields, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"it has {', '.join(fields) or 'none'}"
    raise UnknownField(f"{proto.DESCRIPTOR.name} has no field {name}: {remedy}")


def _append(proto: Message, field: Field, value: Any) -> None:
    container = getattr(proto, field.name)
    if field.kind != "message":
        _protobuf(container.append, proto, field, value)
    elif isinstance(value, dict):
        new = container.add()
        for key, inner in value.items():
            assign_proto(new, key, inner)
    elif isinstance(value, Message) and value.DESCRIPTOR is field.message_type:
        container.add().CopyFrom(value)
    else:
        raise _needs_dict(proto, field, value)


def _set(proto: Message, field: Field, value: Any) -> None:
    if field.kind == "message":
        raise _needs_dict(proto, field, value)
    _protobuf(lambda plain: setattr(proto, field.name, plain), proto, field, value)


def _protobuf(put: Any, proto: Message, field: Field, value: Any) -> None:
    """Have protobuf take `value`; which one says no, and in what words, depends on its version."""
    plain = _plain(proto, field, value)
    try:
        put(plain)
    except (TypeError, UnicodeDecodeError) as error:
        raise WrongType(f"{_where(proto, field)} takes {_kind(field)}, not {_shown(value)}") from error
    except ValueError as error:
        raise WrongValue(f"{_where(proto, field)} cannot be {_shown(value)}: {_range(field)}") from error


def _plain(proto: Message, field: Field, value: Any) -> Any:
    """`value` as the plain Python object that all versions of protobuf read alike."""
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        value = value.item() if field.kind not in ("float", "double") else float(value.item())
    if field.kind == "enum" and isinstance(value, str):
        number = f" {field.enum_numbers[value]}" if value in field.enum_numbers else ""
        raise WrongType(
            f"{_where(proto, field)} takes a number, not the name {value!r}: give the number{number}, "
            f"which is params.{proto.DESCRIPTOR.name.removesuffix('Parameter')}.{value}"
            if number
            else f"{_where(proto, field)} takes {_kind(field)}, not {value!r}"
        )
    if field.kind == "bool" and isinstance(value, int | float):
        return bool(value)
    if field.kind not in ("bool", "float", "double", "string", "bytes"):
        try:
            return operator.index(value)  # True is 1
        except TypeError as error:
            raise WrongType(f"{_where(proto, field)} takes {_kind(field)}, not {_shown(value)}") from error
    return value


def _needs_dict(proto: Message, field: Field, value: Any) -> WrongType:
    return WrongType(f"{_where(proto, field)} is a message: give a dict of its fields, not {_shown(value)}")


def _where(proto: Message, field: Field) -> str:
    return f"{proto.DESCRIPTOR.name}.{field.name}"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _kind(field: Field) -> str:
    names = {
        "bool": "True or False",
        "float": "a number",
        "double": "a number",
        "string": "a text",
        "bytes": "bytes",
        "enum": f"one of {', '.join(f'{number} ({name})' for name, number in field.enum_numbers.items())}",
    }
    return names.get(field.kind, "a whole number") + (" (or a list of such)" if field.repeated else "")


def _range(field: Field) -> str:
    return f"it takes {_kind(field)}" if field.kind == "enum" else f"that is outside of {field.kind}"
