"""Messages with random content, for round trips: every type of field, and values that are easy to get wrong."""

import random
import struct
from typing import Any

from google.protobuf.message import Message

from batchbrew.proto.fields import INT_RANGES, Field, fields_of

TEXTS = ["", "conv1", 'a "quoted" \\ path', "tab\t and newline\n", "Grüße, 猫 🙂", "\x01\x7f'", "?\\n007"]
REALS = [0.0, -0.0, 0.1, 0.9, 1.0, -2.5, 1e-5, 1e6, 123456789.0, 3.4028234663852886e38, 1e-45, float("inf")]


def fill(message: Message, source: random.Random, share: float = 0.3) -> None:
    """Set about `share` of all fields of `message`, and each required one."""
    for field, descriptor in zip(
        fields_of(message.DESCRIPTOR).values(), message.DESCRIPTOR.fields, strict=True
    ):
        if source.random() >= share and descriptor.containing_type.name != "ClipParameter":
            continue
        for _ in range(source.randrange(1, 4) if field.repeated else 1):
            _set(message, field, source, share)


def _set(message: Message, field: Field, source: random.Random, share: float) -> None:
    value = getattr(message, field.name)
    if field.kind == "message":
        child = value.add() if field.repeated else value
        child.SetInParent()
        fill(child, source, share / 2)
    elif field.repeated:
        value.append(_scalar(field, source))
    else:
        setattr(message, field.name, _scalar(field, source))


def _scalar(field: Field, source: random.Random) -> Any:
    if field.kind in INT_RANGES:
        return source.choice([*INT_RANGES[field.kind], 0, 1, 227])
    if field.kind == "float":
        return source.choice([*REALS, struct.unpack("<f", source.randbytes(3) + b"\x3f")[0]])
    if field.kind == "double":
        return source.choice([*REALS, source.random()])
    if field.kind == "enum":
        return source.choice(list(field.enum_numbers.values()))
    if field.kind == "bool":
        return source.random() < 0.5
    return source.choice(TEXTS) if field.kind == "string" else source.randbytes(5)
