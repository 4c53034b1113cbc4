import gzip
from pathlib import Path

import pytest

from batchbrew.dataset.sources import Entry, Source, open_ilsvrc
from batchbrew.errors import InputError
from tests.dataset.sources.kits import LABELS, SYNSETS, kit_tar, write_kit
from tests.dataset.sources.trees import make_files, member, tar_of, write

TRAIN = {
    f"{synset}/{synset}_{number}.JPEG": f"{synset} {number}".encode()
    for synset in SYNSETS
    for number in (1, 2)
}
SORTED = sorted(SYNSETS)
VAL = {f"ILSVRC2012_val_{number:08}.JPEG": b"%d" % number for number in range(1, 8)}
EXPECTED = [Entry(name, label) for name, label in zip(VAL, LABELS, strict=True)]
VAL_LIST = "".join(f"{name} {label}\n" for name, label in zip(VAL, LABELS, strict=True)).encode()


def class_tars() -> dict[str, bytes]:
    """n01000000.tar, ..., not in sorted order, as in the real archive's shape."""
    return {
        f"{synset}.tar": tar_of(
            {name.partition("/")[2]: content for name, content in TRAIN.items() if name.startswith(synset)}
        )
        for synset in SYNSETS
    }


def make_train(root: Path, form: str) -> Path:
    if form == "class folders":
        make_files(root / "train", TRAIN)
        return root / "train"
    if form == "class archives":
        make_files(root / "train", class_tars())
        return root / "train"
    if form == "Kaggle's folders":
        make_files(root / "ILSVRC" / "Data" / "CLS-LOC" / "train", TRAIN)
        return root
    path = write(root / "ILSVRC2012_img_train.tar", tar_of(class_tars()))
    return path if form == "archive" else root


@pytest.mark.parametrize(
    "form", ["archive", "its folder", "class archives", "class folders", "Kaggle's folders"]
)
def test_train_is_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    source: Source = open_ilsvrc(make_train(tmp_path, form), "train")
    assert list(source.entries) == [Entry(name, SORTED.index(name[:9])) for name in sorted(TRAIN)]
    assert [source.read(number) for number in range(12)] == [TRAIN[name] for name in sorted(TRAIN)]
    assert source.class_names == SORTED
    assert list(source.notes[-2:]) == [
        "has 6 synsets instead of 1,000: labels are places among these",
        "has 12 images instead of 1,281,167",
    ]
    source.close()


def test_a_single_class_archive_is_a_class(tmp_path: Path) -> None:
    write(tmp_path / "n01000000.tar", tar_of({"1.JPEG": b""}))
    assert list(open_ilsvrc(tmp_path, "train").entries) == [Entry("n01000000/1.JPEG", 0)]


def test_a_folder_that_would_shift_the_labels_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path, [*TRAIN, "meta/1.JPEG"])
    with pytest.raises(
        InputError, match=r"has a class 'meta', which is no synset \(n01440764\), and would shift"
    ):
        open_ilsvrc(tmp_path, "train")


def test_archives_beside_folders_are_refused(tmp_path: Path) -> None:
    make_files(tmp_path, {**TRAIN, "n01000000.tar": b""})
    with pytest.raises(InputError, match=r"has both n01000000\.tar and the folder n01000000"):
        open_ilsvrc(tmp_path, "train")


@pytest.mark.parametrize("images", ["archive", "folder", "around it"])
@pytest.mark.parametrize(
    "labels", ["kit", "kit's archive", "kit beside", "ground truth", "val.txt", "val.txt beside"]
)
def test_val_with_labels_from_anywhere(tmp_path: Path, images: str, labels: str) -> None:
    place = tmp_path / "val"
    if images == "archive":
        place = write(tmp_path / "ILSVRC2012_img_val.tar", tar_of(VAL))
    else:
        make_files(place, VAL)
        place = tmp_path if images == "around it" else place
    kit, file = None, None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if labels == "kit":
        kit = write_kit(elsewhere)
    elif labels == "kit's archive":
        kit = write(elsewhere / "kit.tar.gz", gzip.compress(kit_tar()))
    elif labels == "kit beside":
        write_kit(tmp_path)
    elif labels == "ground truth":
        file = write_kit(elsewhere) / "data" / "ILSVRC2012_validation_ground_truth.txt"
    elif labels == "val.txt":
        file = write(elsewhere / "any.txt", VAL_LIST)
    else:
        write(tmp_path / "val.txt", VAL_LIST)
    source = open_ilsvrc(place, "val", kit, file)
    assert list(source.entries) == EXPECTED
    assert [source.read(number) for number in range(7)] == list(VAL.values())
    assert source.class_names == (None if "val.txt" in labels else SORTED)
    beside = {"kit beside": "ILSVRC2012_devkit_t12", "val.txt beside": "val.txt"}
    labels_of = file or kit or tmp_path / beside[labels]
    assert f", labels of {labels_of}" in source.name
    assert list(source.refused) == []
    assert source.notes[-1] == "has 7 images instead of 50,000"


def test_the_kits_numbers_are_not_labels() -> None:
    """Were its numbers, less one, taken for labels, six of the seven images would be of another class."""
    ids = [3, 1, 6, 2, 5, 4, 1]
    assert [SORTED[label] for label in LABELS] == [SYNSETS[number - 1] for number in ids]
    assert sum(number - 1 != label for number, label in zip(ids, LABELS, strict=True)) == 6


@pytest.mark.parametrize("form", ["folders", "archive"])
def test_val_in_class_folders(tmp_path: Path, form: str) -> None:
    files = {f"{SORTED[label]}/{name}": VAL[name] for name, label in zip(VAL, LABELS, strict=True)}
    path = tmp_path / "val"
    if form == "archive":
        write(path, tar_of(files))
    else:
        make_files(path, files)
    source = open_ilsvrc(path, "val")
    with pytest.raises(
        InputError, match=r"class folders, which are the labels: the development kit .* no eff"
    ):
        open_ilsvrc(path, "val", devkit=tmp_path / "kit")
    assert {entry.path[10:]: entry.label for entry in source.entries} == dict(zip(VAL, LABELS, strict=True))
    assert source.class_names == SORTED


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("named", ["", "ILSVRC", "ILSVRC/Data/CLS-LOC", "ILSVRC/Data/CLS-LOC/val"])
def test_val_as_kaggle_has_it(tmp_path: Path, named: str, beside: bool) -> None:
    make_files(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "val", VAL)
    rows = [f"{Path(name).stem},{SORTED[label]} 1 2 3 4 {SORTED[label]} 5 6 7 8 " for name, label in EXPECTED]
    solution = tmp_path / ("LOC_val_solution.csv" if beside else "x.csv")
    solution.write_text("\n".join(["ImageId,PredictionString", *reversed(rows), ""]))
    with pytest.raises(InputError, match=r"csv has the synsets itself: the development kit .* no effect"):
        open_ilsvrc(tmp_path / named, "val", devkit=tmp_path, labels=solution)
    source = open_ilsvrc(tmp_path / named, "val", labels=None if beside else solution)
    assert list(source.entries) == EXPECTED
    assert [source.read(number) for number in range(7)] == list(VAL.values())
    assert source.class_names == SORTED


def test_a_solution_of_kaggles_that_cannot_be_used(tmp_path: Path) -> None:
    make_files(tmp_path / "val", VAL)
    for rows, complaint in (
        ("a,n01\n", r"line 2 has no synset: 'a,n01'"),
        ("a,\n", "line 2 has no synset"),
        ("a,n01000000,x\n", "line 2 has no synset"),
        ("a,n01000000 1\na,n02000000 1\n", "line 3: a is of n02000000, but was of n01000000 before"),
    ):
        solution = write(tmp_path / "x.csv", b"ImageId,PredictionString\n" + rows.encode())
        with pytest.raises(InputError, match=complaint):
            open_ilsvrc(tmp_path / "val", "val", labels=solution)


def test_images_without_a_line_in_the_ground_truth(tmp_path: Path) -> None:
    kit = write_kit(tmp_path)
    make_files(
        tmp_path / "val", [*VAL, "ILSVRC2012_val_00000008.JPEG", "ILSVRC2012_val_00000000.JPEG", "me.jpg"]
    )
    source = open_ilsvrc(tmp_path / "val", "val", devkit=kit)
    assert len(source.entries) == 7
    truth = f"{kit}, ILSVRC2012_validation_ground_truth.txt"
    assert [tuple(bad) for bad in source.refused] == [
        ("ILSVRC2012_val_00000000.JPEG", -1, f"has number 0, but {truth} has 7"),
        ("ILSVRC2012_val_00000008.JPEG", -1, f"has number 8, but {truth} has 7"),
        ("me.jpg", -1, "has no number"),
    ]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    make_files(tmp_path / "val", VAL)
    with pytest.raises(InputError, match=r"val has no labels for its images: give the development kit"):
        open_ilsvrc(tmp_path / "val", "val")
    truth = write(tmp_path / "truth.txt", b"1\n2\n3\n4\n5\n6\n1\n")
    with pytest.raises(
        InputError, match=r"truth\.txt has the development kit's numbers, not labels: give the kit"
    ):
        open_ilsvrc(tmp_path / "val", "val", labels=truth)
    one_to_thousand = b"".join(b"%s %d\n" % (name.encode(), 994 + n) for n, name in enumerate(VAL))
    with pytest.raises(
        InputError, match=r"has labels from 994 to 1000, which are the development kit's numbers"
    ):
        open_ilsvrc(tmp_path / "val", "val", labels=write(tmp_path / "list.txt", one_to_thousand))
    with pytest.raises(InputError, match=r"has label 1007: ILSVRC2012 has labels from 0 to 999"):
        labels = one_to_thousand.replace(b" 1000", b" 1007")
        open_ilsvrc(tmp_path / "val", "val", labels=write(tmp_path / "list.txt", labels))
    with pytest.raises(
        InputError, match="'test' is no part of ILSVRC2012 that has labels: give train or val"
    ):
        open_ilsvrc(tmp_path / "val", "test")
    for kit, file in ((None, truth), (truth, None)):
        with pytest.raises(InputError, match=r"truth\.txt is for val: train's labels are by the names"):
            open_ilsvrc(tmp_path / "val", "train", kit, file)
    with pytest.raises(InputError, match="gone cannot be read"):
        open_ilsvrc(tmp_path / "gone", "train")
    write_kit(tmp_path)
    make_files(tmp_path / "photos", ["1.jpg"])
    with pytest.raises(InputError, match=r"'1\.jpg' is no validation image: ILSVRC2012_val_00000001\.JPEG"):
        open_ilsvrc(tmp_path / "photos", "val")


def test_odd_members_of_the_real_shape(tmp_path: Path) -> None:
    inner = (
        member("n01000000_1.JPEG", b"1")
        + member("n01000000_2.JPEG", kind=b"2")
        + member("../3.JPEG")
        + bytes(1024)
    )
    path = write(
        tmp_path / "x.tar", tar_of({"n01000000.tar": inner, "n02000000.tar": tar_of({"a.JPEG": b""})})
    )
    source = open_ilsvrc(path, "train")
    assert list(source.entries) == [Entry("n01000000/n01000000_1.JPEG", 0), Entry("n02000000/a.JPEG", 1)]
    assert [tuple(bad) for bad in source.refused] == [
        ("n01000000/n01000000_2.JPEG", 0, "is a symbolic link"),
        ("n01000000/../3.JPEG", 0, "has a '..' in its path"),
    ]
    assert source.read(1) == b""
