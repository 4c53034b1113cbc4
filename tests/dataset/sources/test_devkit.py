import gzip
from pathlib import Path

import pytest

from batchbrew.dataset.sources import devkit
from batchbrew.dataset.sources.devkit import parse_meta, read_devkit
from batchbrew.errors import InputError
from tests.dataset.sources.kits import LABELS, SYNSETS, kit_files, kit_tar, meta_mat, write_kit
from tests.dataset.sources.trees import END, make_files, member, tar_of, write

TRUTH = "ILSVRC2012_validation_ground_truth.txt"


@pytest.mark.parametrize("form", ["folder", "its data", "around it", "tar.gz", "tar"])
def test_a_kit_in_any_form(tmp_path: Path, form: str) -> None:
    if "tar" in form:
        path = write(tmp_path / form, gzip.compress(kit_tar()) if form == "tar.gz" else kit_tar())
    else:
        path = write_kit(tmp_path)
        path = {"folder": path, "its data": path / "data", "around it": tmp_path}[form]
    kit = read_devkit(path)
    assert kit.synsets == sorted(SYNSETS)
    assert kit.labels == {1: 2, 2: 0, 3: 5, 4: 3, 5: 1, 6: 4}
    assert kit.ground_truth == LABELS


@pytest.mark.parametrize("compressed", [False, True])
def test_inner_nodes_are_left_out(compressed: bool) -> None:
    rows = [(1, "n00000002"), (1000, "n00000001"), (1001, "n00000000")]
    assert parse_meta(meta_mat(rows, compressed), "it") == {1: "n00000002", 1000: "n00000001"}
    assert parse_meta(meta_mat([(1, "n00000002")]), "it") == {1: "n00000002"}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "cannot be understood"),
        (b"no mat file" * 50, "cannot be understood"),
        (meta_mat()[:-200], "cannot be understood"),
        (meta_mat()[:140] + b"rubbish" + meta_mat()[147:], "cannot be understood"),
        (meta_mat()[:132], "cannot be understood"),
        (meta_mat([(1, "dog")]), "does not number synsets (1 numbers from 1 to 1000, 'dog' for a synset)"),
        (meta_mat([(1, "n00000001"), (1, "n00000002")]), "does not number synsets (1 numbers"),
        (meta_mat([(1001, "n00000001")]), "does not number synsets (0 numbers"),
    ],
)
def test_a_damaged_meta_file(data: bytes, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_meta(data, "meta")
    assert complaint in str(caught.value)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what goes beyond them is made in no time."""
    monkeypatch.setattr(devkit, "MAX_FILE_BYTES", 2**20)
    monkeypatch.setattr(devkit, "MAX_UNPACKED_BYTES", 2**22)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1\n2\n7\n", "line 3: '7' is no number of a synset"),
        ("1\n0\n", "line 2: '0'"),
        ("1\n1001\n", "line 2: '1001'"),
        ("1\nx\n", "line 2: 'x'"),
        ("1\n²\n", "line 2: "),
        ("1\n" + "1" * 5000, "line 2: '1111"),
        ("1\n\n2\n", "line 2 is blank"),
        ("\n", "is empty"),
    ],
)
def test_a_ground_truth_that_cannot_be_right(tmp_path: Path, text: str, complaint: str) -> None:
    kit = write_kit(tmp_path)
    (kit / "data" / TRUTH).write_text(text)
    with pytest.raises(InputError) as caught:
        read_devkit(kit)
    assert complaint in str(caught.value)


@pytest.mark.usefixtures("small_limits")
def test_kits_that_cannot_be_used(tmp_path: Path) -> None:
    squeezed = gzip.compress(kit_tar())
    cases = {
        "no kit.tar": (tar_of({"a": b""}), "has no meta.mat: name ILSVRC2012_devkit_t12.tar.gz"),
        "cut.tar.gz": (squeezed[:-100], "is damaged"),
        "text": (b"text" * 500, "is not a tar archive"),
        "bomb.tar.gz": (gzip.compress(bytes(5 * 2**20)), "unpacks to more than 4,194,304 bytes"),
        "large.tar": (member("meta.mat", bytes(2**20 + 1)) + END, "has more than 1,048,576 bytes"),
        "large.tar.gz": (
            gzip.compress(member("meta.mat", bytes(2**20 + 1)) + END),
            "meta.mat has 1,048,577 bytes",
        ),
        "twice.tar": (
            tar_of({"meta.mat": meta_mat([(1, "n00000001"), (2, "n00000001")]), TRUTH: b"1\n"}),
            "has a synset under two numbers",
        ),
    }
    for name, (content, complaint) in cases.items():
        with pytest.raises(InputError) as caught:
            read_devkit(write(tmp_path / name, content))
        assert complaint in str(caught.value)
    make_files(tmp_path, {"half/data/meta.mat": kit_files()["ILSVRC2012_devkit_t12/data/meta.mat"]})
    with pytest.raises(InputError, match=f"half has no {TRUTH}"):
        read_devkit(tmp_path / "half")
    with pytest.raises(InputError, match="gone cannot be read"):
        read_devkit(tmp_path / "gone")
