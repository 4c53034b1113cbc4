"""Binary protobuf files: caffemodels, solverstates, mean images."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, EncodeError, Message

from batchbrew.atomic import write_file
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.files import MAX_FILE_BYTES, is_text, known_format, read_file

M = TypeVar("M", bound=Message)

HEAD_BYTES = 65536  # enough to tell text from binary
KINDS = {"NetParameter": "a caffemodel", "SolverState": "a solverstate", "BlobProto": "a blob (binaryproto)"}


def read_binary(path: Path | str, message_class: type[M]) -> M:
    """The message of `message_class` in the binary file `path`, at most 2,147,483,647 bytes long as in Caffe.

    A NetParameter must hold a layer, a SolverState an iteration, a BlobProto numbers, any other message one
    field at least: protobuf takes many a foreign file for a message that consists of unknown fields alone.
    Raises InputError in one line.
    """
    expected = _kind(message_class)
    content = read_file(Path(path), expected)
    found = known_format(content)
    message = None if found else _parse(content, message_class)
    if message is None:
        raise InputError(f"{path} is {found or _guess(content, message_class)}; {expected} is expected")
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())
        raise InputError(f"{path} is incomplete: it holds no {missing}")
    return message


def write_binary(path: Path | str, message: Message) -> None:
    """Write `message` to the file `path` in one step.

    Raises InputError if the file cannot be written, a required field is missing, or Caffe could not read it
    because it has over 2,147,483,647 bytes.
    """
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())
        raise InputError(f"{path} is not written: {missing} must be given")
    limit = f"{path} is not written: {_kind(type(message))} has at most {MAX_FILE_BYTES:,} bytes"
    try:
        content: bytes = message.SerializeToString()
    except (EncodeError, MemoryError) as error:
        raise InputError(f"{limit} ({error})") from error
    if len(content) > MAX_FILE_BYTES:
        raise InputError(f"{limit}, this one {len(content):,}")
    write_file(Path(path), content)


def _parse(content: bytes, message_class: type[M]) -> M | None:
    """The message, or None where `content` is not one of that kind."""
    try:
        message: M = message_class.FromString(content)
        return message if _holds(message) else None
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _holds(message: Message) -> bool:
    """Whether `message` holds what its kind is for. UnicodeDecodeError if a string is not UTF-8."""
    test = _TESTS.get(message.DESCRIPTOR.name)
    known = bool(message.ListFields()) if test is None else test(message)
    if known:
        _read_strings(message)
    return known


def _has_layer(net: Message) -> bool:
    return any(layer.ListFields() for layer in net.layer) or any(layer.ListFields() for layer in net.layers)


def _has_iteration(state: Message) -> bool:
    return bool(state.HasField("iter"))


def _has_numbers(blob: Message) -> bool:
    return bool(blob.data or blob.double_data or blob.diff or blob.double_diff)


_TESTS: Mapping[str, Callable[[Message], bool]] = {
    "NetParameter": _has_layer,
    "SolverState": _has_iteration,
    "BlobProto": _has_numbers,
}


def _read_strings(message: Message) -> None:
    """Read every string once, so that one that is not UTF-8 is found now and not by some user of it."""
    for descriptor, value in message.ListFields():
        kind = descriptor.message_type
        if kind is not None and kind.name != "BlobProto":
            for child in [value] if isinstance(value, Message) else value:
                _read_strings(child)
        elif descriptor.type == descriptor.TYPE_STRING:
            for text in [value] if isinstance(value, str | bytes) else value:
                if isinstance(text, bytes):  # what older protobufs give in place of an error
                    text.decode("utf-8")


def _guess(content: bytes, message_class: type[Message]) -> str:
    """What a file is whose content is no message of `message_class`."""
    if not content:
        return "empty"
    if is_text(content[:HEAD_BYTES]):
        return "text, a prototxt perhaps"
    for other in (caffe_pb2.NetParameter, caffe_pb2.SolverState, caffe_pb2.BlobProto):
        if other.DESCRIPTOR is not message_class.DESCRIPTOR and _parse(content, other) is not None:
            return _kind(other)
    return _flaw(content, message_class)


def _flaw(content: bytes, message_class: type[Message]) -> str:
    """Why protobuf, or we, refuse a file of which nothing better is known."""
    try:
        message = message_class.FromString(content)
        _read_strings(message)
    except (DecodeError, RecursionError):  # groups in groups, read by a protobuf in pure Python
        return "damaged, cut short, or of another kind"
    except UnicodeDecodeError:
        return "damaged or of another kind: a name in it is not UTF-8"
    if isinstance(message, caffe_pb2.NetParameter) and message.name:
        return f"a network without any layer ({message.name[:60]!r})"
    return "of another kind: it holds nothing that is known of this one"


def _kind(message_class: type[Message]) -> str:
    name = message_class.DESCRIPTOR.name
    return KINDS.get(name, f"a binary {name}")
