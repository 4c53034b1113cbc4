"""Reading a whole file that may be missing, too large, or something else than was asked for."""

import os
import re
import stat
from pathlib import Path

from batchbrew.errors import InputError

MAX_FILE_BYTES = 2**31 - 1  # Caffe, and protobuf itself, read and write nothing larger

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (Caffe writes the other kind with snapshot_format: BINARYPROTO)",
    b"PK\x03\x04": "a zip archive (PyTorch saves its checkpoints so)",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x1f\x8b": "compressed with gzip",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8",
}
_COMMENT = re.compile(rb"#[^\n]*")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def read_file(path: Path, expected: str) -> bytes:
    """The content of the regular file `path`, at most MAX_FILE_BYTES; `expected` says what is looked for.

    Raises InputError in one line.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{path} is not a file: {expected} is expected")
            _check_size(path, status.st_size)
            content = file.read(status.st_size + 1)  # Python sets apart as much memory as is asked for
            if len(content) > status.st_size:
                raise InputError(f"{path} is being written to: wait until it is whole")
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: {expected} is expected") from None
    except FileNotFoundError:
        raise InputError(f"{path} is not there: {expected} is expected") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{path} cannot be read: {error}") from error
    return content


def _check_size(path: Path, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise InputError(f"{path} has {size:,} bytes: Caffe reads no file over {MAX_FILE_BYTES:,} bytes")


def is_there(path: Path) -> bool:
    """Is there a file or folder of that name? Of one that the system does not take, there is none."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """The same for a folder."""
    return is_there(path) and path.is_dir()


def known_format(content: bytes) -> str | None:
    """The file format that `content` begins like, None if it is none of the common ones."""
    return next((name for magic, name in _MAGIC.items() if content.startswith(magic)), None)


def is_text(content: bytes) -> bool:
    """Whether `content` may be a prototxt: outside of its comments no byte is a control character."""
    return not _CONTROL.search(_COMMENT.sub(b"", content))
