"""Names for files, of names that anybody may have put into an LMDB."""

import errno
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from batchbrew.errors import InputError

MAX_NAME_BYTES = 200  # of a part of a path; file systems take 255, and a number may be added
MAX_PARTS = 8
REPLACED = frozenset(("Cc", "Cs", "Zl", "Zp"))  # control characters, ends of lines
IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG}


def safe_path(name: str, suffixes: tuple[str, ...]) -> PurePosixPath:
    """A relative path that stays below its folder, can be a line of a list, and ends in one of `suffixes`.

    The name's own parts as far as they can be kept: "", "." and ".." go, and so do blanks at the ends of a part;
    control characters, and dots in front, which hide files, become "_"; what is too long is cut, and the first of the
    suffixes is put in the place of another kind of image's.
    """
    parts = [safe_part(part) for part in name.split("/") if part not in ("", ".", "..")]
    path = PurePosixPath(*parts[-MAX_PARTS:]) if parts else PurePosixPath("image")
    if path.suffix.lower() not in suffixes:
        kept = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
        path = path.with_name(kept + suffixes[0])
    return path


SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "PNM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WebP": (".webp",),
    "GIF": (".gif",),
}
"""How names of files of a kind (`Header.kind`) end."""
IMAGE_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)


def write_new(root: Path, wanted: PurePosixPath, number: int, data: bytes) -> PurePosixPath:
    """Write a file below `root` that was not there before; returns its path there.

    That is `wanted`; where another file has that name, or has it for a folder's, the record's number is added.
    Raises InputError if it cannot be written.
    """
    for candidate in _candidates(wanted, number):
        path = root / candidate
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
        except OSError as error:
            if error.errno not in IN_THE_WAY:
                raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
            continue
        return candidate
    raise InputError(f"{root / wanted} cannot be written: a thousand names for it are taken")


def _candidates(wanted: PurePosixPath, number: int) -> Iterator[PurePosixPath]:
    yield wanted
    numbered = f"{wanted.stem}~{number}{wanted.suffix}"
    yield wanted.with_name(numbered)
    yield PurePosixPath(numbered)
    for again in range(1000):
        yield PurePosixPath(f"record~{number}~{again}{wanted.suffix}")


def safe_part(part: str) -> str:
    """A part of such a path, or the name of a folder; `part` has no slash and is not empty."""
    # Bytes that are no UTF-8 stay: a file may have them in its name, and so may a list.
    text = "".join(
        "_" if unicodedata.category(each) in REPLACED and not "\udc80" <= each <= "\udcff" else each
        for each in part
    )
    text = text.strip() or "_"  # a list's lines are not read with blanks at their ends
    text = text.replace("\ufeff", "_")  # at the beginning of a list it would be taken for its mark
    return _cut(f"_{text[1:]}" if text.startswith(".") else text)


def _cut(text: str) -> str:
    """Within the bytes that a part may have, its suffix kept."""
    if len(os.fsencode(text)) <= MAX_NAME_BYTES:
        return text
    stem, suffix = os.path.splitext(text)  # noqa: PTH122 - a part is no path
    suffix = suffix if len(os.fsencode(suffix)) <= 10 else ""
    while len(os.fsencode(stem + suffix)) > MAX_NAME_BYTES:
        stem = stem[:-1]
    return stem + suffix
