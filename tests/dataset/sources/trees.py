"""Folders and archives for the tests."""

import io
import os
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

TREE = {
    "zebra/1.JPG": b"in zebra",
    "ant/b.jpeg": b"in ant",
    "ant/deep/er/a.WebP": b"in ant, deep",
    "ant/notes.txt": b"",
    "ant/.hidden.jpg": b"",
    "Top.png": b"",
    "ant/README": b"",
    ".git/x.jpg": b"",
    "ant/.cache/y.jpg": b"",
}


def make_files(root: Path, files: Mapping[str, bytes] | Iterable[str]) -> None:
    """Write files, empty where there is only a name, with their folders."""
    contents = files if isinstance(files, Mapping) else dict.fromkeys(files, b"")
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def tar_of(
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], form: int = tarfile.GNU_FORMAT
) -> bytes:
    """An archive of files, by Python's tarfile; a name that ends in "/" is a folder."""
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            info = tarfile.TarInfo(name.rstrip("/") if name.endswith("/") else name)
            info.size = len(content)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, size: int | None = None) -> bytes:
    """One member, header and content, of any kind and with any claim about its size."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if size is None else size
    info.linkname = "elsewhere"
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def pax(records: Mapping[str, str | bytes], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A pax header, which goes before a member."""
    content = b""
    for key, value in records.items():
        text = b" %s=%s\n" % (key.encode(), value if isinstance(value, bytes) else value.encode())
        length = len(text) + 1
        while length != len(text) + len(str(length)):
            length += 1
        content += str(length).encode() + text
    return member("././@PaxHeader", content, kind)


END = bytes(1024)


def write(path: Path, *parts: bytes) -> Path:
    """A file of the parts, one after another."""
    path.write_bytes(b"".join(parts))
    return path


def file_name(name: bytes) -> str:
    """As the system's functions give names that are not UTF-8."""
    return os.fsdecode(name)
