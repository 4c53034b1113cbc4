"""Prototxt files: reading and writing, with errors that name the file, the line and the column."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.proto.files import is_text, known_format, read_file
from batchbrew.proto.parser import parse_prototxt
from batchbrew.proto.printer import format_prototxt

__all__ = ["commented", "format_prototxt", "parse_prototxt", "read_prototxt", "write_prototxt"]

M = TypeVar("M", bound=Message)

EXPECTED = "a prototxt (text)"


def read_prototxt(path: Path | str, message_class: type[M]) -> M:
    """The message in the prototxt file `path`, as Caffe would read it. Raises InputError."""
    content = read_file(Path(path), EXPECTED)
    if found := known_format(content):
        raise InputError(f"{path} is {found}; {EXPECTED} is expected")
    if not is_text(content):
        raise InputError(f"{path} is a binary file, a caffemodel perhaps; {EXPECTED} is expected")
    # comments in Latin-1 or GBK are common, and harmless; in a string such bytes are refused
    return parse_prototxt(content.decode("utf-8", "surrogateescape"), message_class, str(path))


def commented(message: Message, header: Sequence[str]) -> str:
    """`message` as prototxt, below `header` as comment lines."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in header)
    return f"{comments}\n{format_prototxt(message)}" if comments else format_prototxt(message)


def write_prototxt(path: Path | str, message: Message, header: str = "") -> None:
    """Write `message` to the file `path` in one step, below `header` as comment lines.

    Raises InputError if the file cannot be written or a required field is missing.
    """
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())
        raise InputError(f"{path} is not written: {missing} must be given")
    write_file(Path(path), commented(message, header.splitlines()))
