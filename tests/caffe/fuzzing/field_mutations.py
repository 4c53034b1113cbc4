"""Mutations of messages, so that every field of caffe.proto is reached, with values that it can hold."""

from random import Random
from typing import Any

from google.protobuf.message import Message

from batchbrew.nets.shapes.families import LAYER_TYPES
from batchbrew.proto.fields import INT_RANGES, Field, fields_of
from tests.caffe.fuzzing.text_mutations import STRINGS

INTEGERS = (
    0, 1, -1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 30, 31, 32, 33, 100, 255, 256, 1000, 4096, 32767, 46341, 65535, 65536, 10**5,
    10**6, 2**24, 10**9, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1, -2, -3, -4, -32, -33,
    -(2**31), -(2**63),
)  # fmt: skip
REALS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    1e-45,
    1e-20,
    1e30,
    -1e30,
    3e38,
    float("inf"),
    float("-inf"),
    float("nan"),
)


def mutate_message(random: Random, message: Message) -> None:
    """Change one field or a few, anywhere in `message`."""
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        _mutate(random, random.choice(_messages(message)))


def _messages(message: Message) -> list[Message]:
    """`message` and all in it; those deeper down are where settings are."""
    found = [message]
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None and descriptor.message_type.name != "BlobProto":
            for child in [value] if isinstance(value, Message) else value:
                found += _messages(child)
    return found


def _mutate(random: Random, message: Any) -> None:
    fields = every = list(fields_of(message.DESCRIPTOR).values())
    if random.random() < 0.6:  # what is set already, rather than what no layer of this type reads
        present = {descriptor.name for descriptor, _ in message.ListFields()}
        fields = [field for field in fields if field.name in present] or fields
    field = random.choice(fields)
    if message.DESCRIPTOR.name == "LayerParameter" and random.random() < 0.25:
        own = f"{message.type}param".lower()
        field = next((each for each in every if each.name.replace("_", "") == own), field)
    if random.random() < 0.15:
        message.ClearField(field.name)
        return
    value = getattr(message, field.name)
    if field.kind == "message":
        child = value.add() if field.repeated else value
        child.SetInParent()
        _fill(random, child)
    elif field.repeated:
        _mutate_list(random, field, value)
    else:
        setattr(message, field.name, _scalar(random, field))


def _mutate_list(random: Random, field: Field, values: Any) -> None:
    if values and random.random() < 0.5:
        values[random.randrange(len(values))] = _scalar(random, field)
    elif values and random.random() < 0.3:
        del values[random.randrange(len(values))]
    else:
        values.extend(_scalar(random, field) for _ in range(random.choice([1, 1, 1, 2, 3, 40])))


def _fill(random: Random, message: Any) -> None:
    """Some fields of a message that was not there."""
    fields = list(fields_of(message.DESCRIPTOR).values())
    for field in random.sample(fields, min(len(fields), random.choice([1, 2, 4]))):
        value = getattr(message, field.name)
        if field.kind == "message":
            (value.add() if field.repeated else value).SetInParent()
        elif field.repeated:
            value.append(_scalar(random, field))
        else:
            setattr(message, field.name, _scalar(random, field))


def _scalar(random: Random, field: Field) -> Any:
    if field.kind in INT_RANGES:
        low, high = INT_RANGES[field.kind]
        return random.choice([number for number in INTEGERS if low <= number <= high])
    if field.kind in ("float", "double"):
        return random.choice(REALS)
    if field.kind == "enum":
        return random.choice(list(field.enum_numbers.values()))
    if field.kind == "bool":
        return random.random() < 0.5
    if field.kind == "bytes":
        return random.randbytes(random.choice([0, 1, 5]))
    if field.name == "type" and random.random() < 0.7:
        return random.choice(sorted(LAYER_TYPES))
    return random.choice([text for text in STRINGS if "\\" not in text])
