r"""Cuts a prototxt into tokens, by the rules of protobuf's C++ tokenizer, which Caffe reads it with.

They differ from those of protobuf's Python: numbers may be followed by an f, a minus sign may stand apart,
a plus sign is refused, octal is read in strings (\101) and numbers (010), and so on.
"""

import re
from typing import NamedTuple

from batchbrew.errors import InputError

END = "end"
MAX_SHOWN = 60  # characters of a token in an error
BYTE_ORDER_MARK = "\ufeff"

_TOKEN = re.compile(
    r"""
      (?P<space> (?: [ \t\n\r\v\f]+ | \#[^\n]* )+ )
    | (?P<identifier> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<integer> (?: 0[xX][0-9A-Fa-f]+ | 0[0-7]+ | 0 | [1-9][0-9]* ) (?![A-Za-z0-9_.]) )
    | (?P<float> (?: (?: 0 | [1-9][0-9]* ) (?: \.[0-9]* )? | \.[0-9]+ )
                 (?: [eE][+-]?[0-9]+ )? [fF]? (?![A-Za-z0-9_.]) )
    | (?P<misnumber> \.?[0-9] (?: [eE][+-] | [A-Za-z0-9_.] )* )
    | (?P<string> "(?: [^"\\\n\0] | \\[^\n\0] )*" | '(?: [^'\\\n\0] | \\[^\n\0] )*' )
    | (?P<symbol> [!$-&(-/:-@\[-`{-~] )
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(
    rb"""
      \\ (?P<simple> [abfnrtv\\?'"] )
    | \\ (?P<octal> [0-7]{1,3} )
    | \\ x (?P<hex> [0-9A-Fa-f]{1,2} )
    | \\ u (?P<pair> [dD][89ABab][0-9A-Fa-f]{2} \\ u [dD][C-Fc-f][0-9A-Fa-f]{2} )  # UTF-16
    | \\ (?P<unicode> u[0-9A-Fa-f]{4} | U00(?:0[0-9A-Fa-f]|10)[0-9A-Fa-f]{4} )
    | \\ (?P<wrong> .? )
    """,
    re.VERBOSE | re.DOTALL,
)
_SIMPLE = dict(zip(b"abfnrtv\\?'\"", b"\a\b\f\n\r\t\v\\?'\"", strict=True))


class Token(NamedTuple):
    """`kind` is "identifier", "integer", "float", "string", "symbol" or END; `start` counts from 0."""

    kind: str
    text: str
    start: int

    def __str__(self) -> str:
        if self.kind == END:
            return "the end of the text"
        text = self.text if len(self.text) <= MAX_SHOWN else self.text[:MAX_SHOWN] + "..."
        return text if self.kind == "string" else f'"{text}"'


class Tokens:
    """The tokens of a text, one after the other; `current` is the first that has not been taken.

    Raises InputError where the text has no token. `name` stands for the text in errors.
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self._position = 0
        if text.startswith(BYTE_ORDER_MARK):
            raise self.error(
                "a byte order mark, which Caffe cannot read: save the text as UTF-8 without BOM", 0
            )
        self.current = self._read()

    def take(self) -> Token:
        """Return the current token and go on to the next."""
        token = self.current
        self.current = self._read()
        return token

    def take_if(self, *symbols: str) -> Token | None:
        """Take the current token if it is one of these symbols."""
        if self.current.kind == "symbol" and self.current.text in symbols:
            return self.take()
        return None

    def error(self, message: str, start: int) -> InputError:
        """The error `name:line:column: message`; line and column count from 1."""
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        return InputError(f"{self.name}:{line}:{column}: {message}")

    def _read(self) -> Token:
        match = _TOKEN.match(self.text, self._position)
        if match and match.lastgroup == "space":
            self._position = match.end()
            match = _TOKEN.match(self.text, self._position)
        start = self._position
        if match is None:
            if start == len(self.text):
                return Token(END, "", start)
            raise self.error(_no_token(self.text[start]), start)
        kind = match.lastgroup
        if kind == "misnumber":
            raise self.error(f'"{match.group()[:MAX_SHOWN]}" is no number', start)
        assert kind is not None
        self._position = match.end()
        return Token(kind, match.group(), start)

    def content(self, token: Token) -> bytes:
        """What a string token stands for, its escapes resolved. Raises InputError on an unknown escape."""

        def resolve(match: re.Match[bytes]) -> bytes:
            escape = match.group()
            if match.lastgroup == "wrong":
                shown = escape.decode("utf-8", "replace")
                raise self.error(
                    f"{shown} in a string means nothing: write \\\\ for a backslash", token.start
                )
            return _resolved(match.lastgroup or "", match[match.lastgroup or 0])

        return _ESCAPE.sub(resolve, token.text[1:-1].encode("utf-8", "surrogateescape"))


def _resolved(kind: str, value: bytes) -> bytes:
    if kind == "simple":
        return bytes([_SIMPLE[value[0]]])
    if kind == "octal":
        return bytes([int(value, 8) & 0xFF])
    if kind == "hex":
        return bytes([int(value, 16)])
    if kind == "pair":
        return bytes.fromhex((value[:4] + value[6:]).decode()).decode("utf-16-be").encode()
    return chr(int(value[1:], 16)).encode("utf-8", "surrogatepass")


def _no_token(character: str) -> str:
    if character in "\"'":
        return f"this {character} is never closed on its line"
    if "\udc80" <= character <= "\udcff":
        return f"byte 0x{ord(character) - 0xDC00:02x} is not UTF-8"
    if character < " " or character == "\x7f":
        return f"control character 0x{ord(character):02x} in the text"
    return f'"{character}" (U+{ord(character):04X}) may stand in strings and comments only'
