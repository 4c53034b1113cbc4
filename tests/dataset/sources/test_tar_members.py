import io
import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from batchbrew.dataset.sources.tar_members import MAX_NAME_BYTES, Member, TarReader, parse_pax
from batchbrew.errors import InputError
from tests.dataset.sources.trees import END, file_name, member, pax, tar_of, write

LONG = "d" * 90 + "/" + "long name " * 20 + ".jpg"
FILES = {
    "a.jpg": b"1" * 511,
    "empty.jpg": b"",
    "b/c.jpg": b"2" * 512,
    "b/d e.jpg": b"3" * 513,
    LONG: b"4" * 9,
}
ODD = {"ß/Ω.jpg": b"5", file_name(b"\xff\xfe/\xe4.jpg"): b"6", **FILES}


def read(path: Path, start: int = 0, end: int | None = None) -> tuple[list[Member], TarReader]:
    handle = os.open(path, os.O_RDONLY)
    try:
        reader = TarReader(handle, start, path.stat().st_size if end is None else end, "it")
        return list(reader), reader
    finally:
        os.close(handle)


def contents(path: Path) -> list[tuple[str, bytes | None]]:
    data = path.read_bytes()
    return [
        (one.name, None if one.is_folder else data[one.offset : one.offset + one.size])
        for one in read(path)[0]
    ]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_as_pythons_tarfile_writes_them(tmp_path: Path, form: int) -> None:
    path = write(tmp_path / "x.tar", tar_of({**ODD, "b/f/": b""}, form))
    assert contents(path) == [*ODD.items(), ("b/f", None)]
    assert read(path)[1].notes == []


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "pax", "ustar"])
def test_members_as_gnu_tar_writes_them(tmp_path: Path, form: str) -> None:
    files = dict(FILES) if form in ("gnu", "oldgnu", "pax") else {"a.jpg": b"1", "b/" + "c" * 90: b"2"}
    if form == "ustar":
        files["e" * 80 + "/" + "f" * 90] = b"3"
    for name, content in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    path = tmp_path / "x.tar"
    subprocess.run(["tar", f"--format={form}", "-cf", path, "-C", tmp_path / "in", *files], check=True)
    assert contents(path) == list(files.items())


def test_names_of_a_pax_header_count_before_others(tmp_path: Path) -> None:
    long = member("././@LongLink", b"by GNU\0", tarfile.GNUTYPE_LONGNAME)
    path = write(
        tmp_path / "x.tar",
        pax({"comment": "of all"}, tarfile.XGLTYPE),
        long + member("header", b"1"),
        long + pax({"path": "by pax", "mtime": "1.5"}) + member("header", b"2"),
        member("header", b"3"),
        pax({"size": "4"}) + member("size", b"abcd", size=0),
        member("last", b"5"),
        END,
    )
    assert contents(path) == [
        ("by GNU", b"1"),
        ("by pax", b"2"),
        ("header", b"3"),
        ("size", b"abcd"),
        ("last", b"5"),
    ]


def test_a_global_pax_header_is_of_all_that_follow(tmp_path: Path) -> None:
    every = pax({"path": "by all"}, tarfile.XGLTYPE)
    parts = (
        member("a", b"1"),
        every,
        member("b", b"2"),
        pax({"path": "own"}),
        member("c", b"3"),
        member("d", b"4"),
        END,
    )
    path = write(tmp_path / "x.tar", *parts)
    names = ["a", "by all", "own", "by all"]
    assert [name for name, _ in contents(path)] == names
    with tarfile.open(path) as archive:
        assert archive.getnames() == names


def test_what_is_no_plain_file_says_so(tmp_path: Path) -> None:
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V"]
    sparse = bytearray(member("sparse", b"x" * 600, tarfile.GNUTYPE_SPARSE))
    path = write(
        tmp_path / "x.tar",
        # A link's size is that of what it points to: no content follows.
        *(member(f"kind {kind!r}", kind=kind, size=0 if kind == b"V" else 5000) for kind in kinds),
        bytes(sparse),
        pax({"GNU.sparse.major": "1", "GNU.sparse.name": "holes"}) + member("GNUSparseFile.0/holes", b"y"),
        member("././@LongLink", b"n" * 5000, tarfile.GNUTYPE_LONGNAME) + member("long", b"z"),
        member("contiguous", b"1", tarfile.CONTTYPE),
        END,
    )
    members, _ = read(path)
    assert [one.problem for one in members] == [
        "is a symbolic link",
        "is a hard link",
        "is a device",
        "is a device",
        "is a named pipe",
        "is of the unknown kind b'V'",
        "is a sparse file",
        "is a sparse file",
        "has a name of 5,000 bytes",
        None,
    ]
    assert MAX_NAME_BYTES < 5000
    assert members[7].name == "holes"


def test_a_real_sparse_file_is_passed_over(tmp_path: Path) -> None:
    """Of 40 pieces: GNU's old headers then go on in further blocks."""
    with (tmp_path / "holes").open("wb") as file:
        for piece in range(40):
            file.seek(piece * 1_000_000)
            file.write(b"x" * 5000)
    (tmp_path / "b.jpg").write_bytes(b"behind it")
    for form in ("gnu", "pax"):
        path = tmp_path / f"{form}.tar"
        options = ["--sparse", f"--format={form}", "-cf", str(path), "-C", str(tmp_path)]
        subprocess.run(["tar", *options, "holes", "b.jpg"], check=True)
        assert path.stat().st_size < 1_000_000  # it was written with its holes
        assert [one.problem for one in read(path)[0]] == ["is a sparse file", None]
        assert contents(path)[1] == ("b.jpg", b"behind it")


def test_an_archive_within_a_file(tmp_path: Path) -> None:
    inner = tar_of({"a.jpg": b"inner"})
    path = write(tmp_path / "x", b"before" * 100, inner, b"behind" * 100)
    members, _ = read(path, 600, 600 + len(inner))
    assert [(one.name, path.read_bytes()[one.offset :][:5]) for one in members] == [("a.jpg", b"inner")]


A = member("a.jpg", b"x" * 1000)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "it is empty"),
        ([b"no archive" * 100], "it is not a tar archive"),
        ([b"short"], "it is cut off within a member's header (at byte 0)"),
        ([A, A[:300]], "it is cut off within a member's header (at byte 1,536)"),
        ([A, A[:600]], "it is cut off: 'a.jpg' has 1,000 bytes, and 88 are there (at byte 2,048)"),
        ([A, member("b", size=2**60), END], "'b' has 1,152,921,504,606,846,976 bytes, and 1,024 are there"),
        ([A, member("b", size=-5), END], "it is damaged: 'b' has -5 bytes"),
        ([A, b"\1" + A[1:]], "it is damaged: bad checksum (at byte 1,536)"),
        ([pax({"size": "-1536"}), A, END], "a size of b'-1536'"),
        ([pax({"size": "9" * 5000}), A, END], "a size of b'999"),
        ([member("x", b"77 path=\n", tarfile.XHDTYPE), A], "a pax header that is damaged"),
        ([member("x", bytes(2**20 + 1), tarfile.XHDTYPE), A], "a pax header of 1,048,577 bytes"),
        ([pax({"path": "x"}) * 100, A, END], "more than 64 headers for one member"),
        ([A, END, END, A, END], "(at byte 3,584) with another archive: separate them"),
    ],
)
def test_damage_is_an_error(tmp_path: Path, parts: list[bytes], complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        read(write(tmp_path / "x.tar", *parts))
    assert complaint in str(caught.value)


def test_ends_that_are_odd_are_noted(tmp_path: Path) -> None:
    assert read(write(tmp_path / "x.tar", A))[1].notes == ["it has no mark of its end: is it complete?"]
    cut = A[: 512 + 1000]  # the last block is not filled up
    assert len(read(write(tmp_path / "x.tar", cut))[0]) == 1
    members, reader = read(write(tmp_path / "x.tar", A, END, b"rubbish" * 100))
    assert (len(members), reader.notes) == (1, ["it goes on behind the mark of its end; that was not read"])


def test_no_damage_is_passed_over_in_silence(tmp_path: Path) -> None:
    """An archive that was cut anywhere, or changed, gives an error, a note, or what Python's tarfile finds."""
    whole = tar_of({**ODD, "b/f/": b""}, tarfile.PAX_FORMAT)
    dice = random.Random(1)
    for _ in range(150):
        data = bytearray(whole)
        if dice.random() < 0.5:
            del data[dice.randrange(len(data) - 11_000) :]
        for _ in range(dice.randrange(3)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path = write(tmp_path / "x.tar", bytes(data))
        try:
            members, reader = read(path)
        except InputError:
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as archive:
                expected = archive.getnames()
        except (tarfile.TarError, ValueError):  # it gave up where this reader read on
            continue
        assert [one.name.rstrip("/") for one in members] == expected
        assert len(members) == len(ODD) + 1 or reader.notes


def test_pax_records() -> None:
    assert parse_pax(b"11 path=\xe4b\n14 a=b=c d\n e\n\0\0") == {b"path": b"\xe4b", b"a": b"b=c d\n e"}
    assert parse_pax(b"") == {}
    for damaged in (
        b"11 path=abc",
        b"3 \n",
        b"5 =",
        b"x a=b\n",
        b"-6 a=b\n",
        b"6a=b\n",
        b"0 a=b\n",
        b"99999999 a=b\n",
    ):
        assert parse_pax(damaged) is None, damaged
