from pathlib import Path

import pytest

from batchbrew.dataset.sources import Entry, open_csv
from batchbrew.errors import InputError
from tests.dataset.sources.trees import file_name, make_files


def write_table(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a.jpg,1\nb c.jpg,0\n", [Entry("a.jpg", 1), Entry("b c.jpg", 0)]),
        (
            '\ufeffpath,label\r\n"a, ""b"".jpg",1\r\n\r\nc.jpg,02\r\n',
            [Entry('a, "b".jpg', 1), Entry("c.jpg", 2)],
        ),
        ("id,Label,Filename\nx,7,a.jpg\n", [Entry("a.jpg", 7)]),
        ("image;class\na,b.jpg;3\n", [Entry("a,b.jpg", 3)]),
        ("a.jpg\t5\n", [Entry("a.jpg", 5)]),
        (b"\xe4.jpg,1\n", [Entry(file_name(b"\xe4.jpg"), 1)]),
        ("id7,1\nid9,0\n", [Entry("id7", 1), Entry("id9", 0)]),
        (
            'path, label\n"a.jpg", "10"\nb.jpg, 2\n" c.jpg", 0',
            [Entry("a.jpg", 10), Entry("b.jpg", 2), Entry(" c.jpg", 0)],
        ),
    ],
    ids=[
        "no header",
        "quoted",
        "columns by name",
        "semicolons",
        "tabs",
        "not UTF-8",
        "no extension",
        "blanks",
    ],
)
def test_tables(tmp_path: Path, text: str | bytes, entries: list[Entry]) -> None:
    source = open_csv(write_table(tmp_path, text), tmp_path)
    assert list(source.entries) == entries
    assert source.class_names is None


def test_class_names_are_numbered_as_sorted(tmp_path: Path) -> None:
    source = open_csv(
        write_table(tmp_path, "path,label\n1.jpg,cat\n2.jpg, ant \n3.jpg,cat\n4.jpg,Z"), tmp_path
    )
    assert source.class_names == ["Z", "ant", "cat"]
    assert [entry.label for entry in source.entries] == [2, 1, 2, 0]


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = write_table(tmp_path, "label,breed,id\n9,cat,a.jpg\n")
    assert list(open_csv(path, tmp_path, "id").entries) == [Entry("a.jpg", 9)]
    assert open_csv(path, tmp_path, "ID", "breed").class_names == ["cat"]
    with pytest.raises(InputError, match="no column 'ids', or two: its columns are label, breed, id"):
        open_csv(path, tmp_path, "ids")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("path,label\n", "nothing but its header"),
        ("a.jpg,1,x\n", "line 1: 'a.jpg,1,x' has 3 columns"),
        ("a.jpg,1\nb,c.jpg,1\n", "line 2: 'b,c.jpg,1' has 3 columns, but the first line has 2: quote"),
        ("photo,breed\na.jpg,cat\n", "looks like a header with unknown names"),
        ("path,breed\na.jpg,cat\n", "no column that is known as the label's"),
        ("a.jpg,1\nb.jpg,cat\n", "'cat' for a label, but line 1 has '1'"),
        ("a.jpg,cat\nb.jpg,1\n", "'1' for a label, but line 1 has 'cat'"),
        ("a.jpg,1\nb.jpg,1.0\n", "line 2: 'b.jpg,1.0' has '1.0' for a label: it must be a whole number"),
        ("a.jpg,-1\n", "labels are 0 to"),
        ("a.jpg,1\nb.jpg,\n", "line 2: 'b.jpg,' has no label"),
        (",1\n", "has no path"),
        ('a.jpg,1\n"b.jpg,1\n', "is no row of a table: unexpected end of data"),
        ("a.jpg,1\nb\0.jpg,1\n", "line 2"),
        ("a.jpg,1\n./a.jpg,2\n", "line 2: './a.jpg' has label 2, but the same file has label 1 in line 1"),
        ("x" * 200_000 + ",1", "line 1 is no row of a table: field larger"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        open_csv(write_table(tmp_path, text), tmp_path)
    assert complaint in str(caught.value)
    assert str(tmp_path / "table.csv") in str(caught.value)


def test_files_are_found_below_the_root(tmp_path: Path) -> None:
    make_files(tmp_path / "root", {"a.jpg": b"picture"})
    path = write_table(tmp_path, "a.jpg,0\n")
    assert open_csv(path, tmp_path / "root").read(0) == b"picture"
    with pytest.raises(InputError, match="absent is not a folder"):
        open_csv(path, tmp_path / "absent")
    with pytest.raises(InputError, match=r"gone\.csv cannot be read: No such file"):
        open_csv(tmp_path / "gone.csv", tmp_path)
