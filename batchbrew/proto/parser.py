"""Fills a message from a prototxt; accepts what Caffe accepts (protobuf's C++ TextFormat, 3.12)."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from batchbrew.errors import InputError
from batchbrew.proto.fields import INT_RANGES, Field, fields_of, nearest_float
from batchbrew.proto.tokens import END, Token, Tokens

M = TypeVar("M", bound=Message)

KINDS = {"NetParameter": "a network", "SolverParameter": "a solver"}
CLOSING = {"{": "}", "<": ">"}
TRUE, FALSE = ("true", "True", "t"), ("false", "False", "f")
MAX_DIGITS = 40  # more are out of every range; Python refuses to convert thousands of them


def parse_prototxt(text: str, message_class: type[M], name: str = "<text>") -> M:
    """The message that `text` describes, as Caffe would read it.

    Bytes that are not UTF-8 may be in it as surrogate escapes; they pass in comments only. Raises InputError,
    one line that begins with `name:line:column:`.
    """
    message: M = message_class()
    tokens = Tokens(text, name)
    _Parser(tokens).fill(message)
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())
        raise InputError(f"{name}: {missing} must be given")
    return message


class _Parser:
    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.enclosing: list[Any] = []  # descriptors of the messages around the current field, innermost last

    def fill(self, message: Message, opened: Token | None = None, group: str = "") -> None:
        """Read fields up to the end of the text, or of `group`, which the bracket `opened` began."""
        tokens = self.tokens
        self.enclosing.append(message.DESCRIPTOR)
        fields = fields_of(message.DESCRIPTOR)
        while tokens.current.kind != END and not self._at("}", ">"):
            self._read_field(message, fields)
        if opened is not None:
            if tokens.current.kind == END:
                raise tokens.error(f'the "{opened.text}" of {group} is never closed', opened.start)
            if not tokens.take_if(CLOSING[opened.text]):
                raise self._expected(f'"{CLOSING[opened.text]}"')
        elif tokens.current.kind != END:
            raise tokens.error(f"{tokens.current} closes nothing", tokens.current.start)
        self.enclosing.pop()

    def _read_field(self, message: Message, fields: Any) -> None:
        tokens = self.tokens
        if tokens.current.kind != "identifier":
            raise self._expected("a field name")
        name = tokens.current
        field = fields.get(name.text)
        if field is None:
            raise tokens.error(self._unknown(name), name.start)
        tokens.take()
        if not field.repeated and message.HasField(field.name):
            raise tokens.error(f"{field.name} is given twice, and it takes one value", name.start)
        if not tokens.take_if(":") and field.kind != "message":
            raise self._expected(f'":" after {field.name}')
        if field.repeated and tokens.take_if("["):
            self._read_list(message, field)
        else:
            self._read_value(message, field)
        tokens.take_if(";", ",")

    def _read_list(self, message: Message, field: Field) -> None:
        if self.tokens.take_if("]"):
            return
        while True:
            self._read_value(message, field)
            if self.tokens.take_if("]"):
                return
            if not self.tokens.take_if(","):
                raise self._expected(f'"," or "]" in the list of {field.name}')

    def _read_value(self, message: Message, field: Field) -> None:
        if field.kind == "message":
            opened = self.tokens.take_if("{", "<")
            if opened is None:
                raise self._expected(f'"{{" after {field.name}')
            child = getattr(message, field.name)
            child = child.add() if field.repeated else child
            child.SetInParent()
            self.fill(child, opened, field.name)
        elif field.repeated:
            getattr(message, field.name).append(self._scalar(field))
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: Field) -> object:
        if field.kind in INT_RANGES:
            return self._integer(field)
        if field.kind in ("float", "double"):
            return self._real(field)
        if field.kind == "enum":
            return self._enum(field)
        return self._bool(field) if field.kind == "bool" else self._string(field)

    def _integer(self, field: Field) -> int:
        low, high = INT_RANGES[field.kind]
        start = self.tokens.current.start
        negative = self.tokens.take_if("-") if low < 0 else None
        wanted = f"a whole number from {low} to {high} for {field.name}"
        if self.tokens.current.kind != "integer":
            raise self._expected(wanted)
        digits = self.tokens.current.text
        value = _whole_number(digits) * (-1 if negative else 1)
        if len(digits) > MAX_DIGITS or not low <= value <= high:
            raise self.tokens.error(
                f"{wanted} is expected, not {'-' if negative else ''}{digits[:40]}", start
            )
        self.tokens.take()
        return value

    def _real(self, field: Field) -> float:
        sign = -1.0 if self.tokens.take_if("-") else 1.0
        token = self.tokens.current
        text = token.text.lower()
        # as in Caffe, a whole number must be decimal here: neither 0x10 nor 010
        if token.kind == "integer" and (text == "0" or not text.startswith("0")):
            value = float(text)
        elif token.kind == "float":
            value = float(text.rstrip("f"))
        elif token.kind == "identifier" and text in ("inf", "infinity", "nan"):
            value = float(text)
        else:
            raise self._expected(f"a decimal number for {field.name}")
        self.tokens.take()
        return nearest_float(sign * value) if field.kind == "float" else sign * value

    def _bool(self, field: Field) -> bool:
        token = self.tokens.current
        if token.kind == "identifier" and token.text in TRUE + FALSE:
            self.tokens.take()
            return token.text in TRUE
        if token.kind == "integer" and len(token.text) <= MAX_DIGITS and _whole_number(token.text) in (0, 1):
            self.tokens.take()
            return _whole_number(token.text) == 1
        raise self._expected(f"true or false for {field.name}")

    def _enum(self, field: Field) -> int:
        negative = self.tokens.take_if("-")
        token = self.tokens.current
        number = None
        if token.kind == "identifier" and not negative:
            number = field.enum_numbers.get(token.text)
        elif token.kind == "integer" and len(token.text) <= MAX_DIGITS:
            number = _whole_number(token.text) * (-1 if negative else 1)
        if number not in field.enum_numbers.values():
            raise self._expected(f"one of {', '.join(field.enum_numbers)} for {field.name}")
        self.tokens.take()
        assert number is not None
        return number

    def _string(self, field: Field) -> str | bytes:
        """Strings that follow each other are one."""
        first = self.tokens.current
        if first.kind != "string":
            raise self._expected(f"a text in quotes for {field.name}")
        content = b""
        while self.tokens.current.kind == "string":
            content += self.tokens.content(self.tokens.take())
        if field.kind == "bytes":
            return content
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise self.tokens.error(f"the text of {field.name} is not UTF-8", first.start) from None

    def _at(self, *symbols: str) -> bool:
        return self.tokens.current.kind == "symbol" and self.tokens.current.text in symbols

    def _expected(self, what: str) -> InputError:
        return self.tokens.error(f"{what} is expected, not {self.tokens.current}", self.tokens.current.start)

    def _unknown(self, name: Token) -> str:
        message = self.enclosing[-1]
        fault = f"{message.name} has no field {name}"
        if len(self.enclosing) == 1 and (other := _other_kind(self.tokens, message)):
            return f"{fault}: this is {other}, {KINDS[message.name]} is expected"
        for outer in reversed(self.enclosing[:-1]):
            if name.text in fields_of(outer):
                return f'{fault}, but {outer.name} has: is a "}}" missing before it?'
        close = difflib.get_close_matches(name.text, list(fields_of(message)), n=1)
        return (
            f'{fault}: did you mean "{close[0]}"?'
            if close
            else f"{fault}: it has {_listed(fields_of(message))}"
        )


def _whole_number(digits: str) -> int:
    """The value of an integer token: hexadecimal after 0x, octal after 0."""
    if len(digits) > MAX_DIGITS:
        return -1
    return int(digits, 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10)


def _listed(names: Iterable[str], most: int = 12) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _other_kind(tokens: Tokens, expected: Any) -> str | None:
    """What else the whole text is, judged by the names outside of all brackets; None if that is unclear."""
    if expected.name not in KINDS:
        return None
    outermost = _outermost_names(Tokens(tokens.text, tokens.name))
    for name, kind in KINDS.items():
        others = fields_of(expected.file.message_types_by_name[name])
        own = fields_of(expected)
        if sum(n in others and n not in own for n in outermost) > sum(
            n in own and n not in others for n in outermost
        ):
            return kind
    return None


def _outermost_names(tokens: Tokens) -> list[str]:
    names, depth = [], 0
    try:
        while tokens.current.kind != END:
            token = tokens.take()
            if token.kind == "identifier" and depth == 0 and (tokens.current.text in (":", "{", "<")):
                names.append(token.text)
            elif token.kind == "symbol":
                depth += (token.text in CLOSING) - (token.text in CLOSING.values())
    except InputError:
        pass  # what was read so far has to do
    return names
