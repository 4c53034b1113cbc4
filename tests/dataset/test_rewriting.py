import json
import re
from collections import Counter
from pathlib import Path

import pytest

from batchbrew.dataset import copying, replacing
from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.description import read_description
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.label_ranges import LabelRanges
from batchbrew.dataset.reader import LmdbReader, parse_datum
from batchbrew.dataset.rewriting import merge, shuffle, split, subset
from batchbrew.dataset.selection import Choice
from batchbrew.dataset.sources import Entry, FilesSource, permutation
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError
from tests.dataset.lmdbs import change, pixel_lmdb, raw_datum, write_lmdb, write_records
from tests.dataset.pictures import write_pictures

NAMES = ["ant", "bee", "cat"]


def build(folder: Path, out: Path, options: BuildOptions | None = None, count: int = 12) -> Path:
    """Pictures 48×32 with labels 0, 1, 2, 0, 1, ... and a file that is none."""
    folder.mkdir(exist_ok=True)
    entries = [Entry(name, number % 3) for number, name in enumerate(write_pictures(folder, count))]
    source = FilesSource([*entries, Entry("bad.jpg", 1)], folder, NAMES)
    build_lmdb(source, out, options or BuildOptions(ImageOptions(side=32)))
    return out


def content(path: Path) -> list[tuple[bytes, bytes]]:
    with LmdbReader(path) as reader:
        return [(bytes(key), bytes(value)) for key, value in reader.items()]


def labels(path: Path) -> list[int]:
    return [parse_datum(value).label for _, value in content(path)]


def pictures(path: Path) -> list[str]:
    """What the keys say besides their number, which must be the record's place."""
    keys = [key.decode() for key, _ in content(path)]
    assert [key[:9] for key in keys] == [f"{number:08}_" for number in range(len(keys))]
    return [key[9:] for key in keys]


def sound(path: Path) -> bool:
    found = verify_lmdb(path, 1)
    return found.described and not found.problems


def test_shuffle_keeps_records_and_numbers_keys_anew(tmp_path: Path) -> None:
    db = build(tmp_path / "photos", tmp_path / "db", BuildOptions(ImageOptions(side=32), seed=None))
    before = content(db)
    done: list[tuple[int, int, int]] = []
    shuffle(db, tmp_path / "out", seed=3, progress=lambda *call: done.append(call))
    order = permutation(len(before), 3)
    assert [value for _, value in content(tmp_path / "out")] == [before[number][1] for number in order]
    assert pictures(tmp_path / "out") == [f"{number}.jpg" for number in order]
    assert done == [(number, 12, 0) for number in range(1, 13)]
    assert sound(tmp_path / "out")
    old, new = read_description(db), read_description(tmp_path / "out")
    assert old is not None and new is not None
    assert new.made_from == {
        "how": "shuffled with seed 3",
        "from": [{
            "name": "db", "images": 12, "sha256": [old.sha256], "source": old.source, "options": old.options,
        }],
    }  # fmt: skip
    for field in (
        "images",
        "classes",
        "label_counts",
        "class_names",
        "unreadable",
        "mean",
        "std",
        "kinds",
        "options",
    ):
        assert getattr(new, field) == getattr(old, field), field
    assert (new.seed, new.total_bytes, new.listed) == (3, old.total_bytes, 13)


def test_shuffled_twice_is_numbered_once_and_remembers_both(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "foreign", [0, 1, 2, 1, 5])
    shuffle(db, tmp_path / "one", seed=1)
    shuffle(tmp_path / "one", tmp_path / "two", seed=2)
    assert sorted(pictures(tmp_path / "two")) == [f"p{number}.png" for number in range(5)]
    assert sorted(value for _, value in content(tmp_path / "two")) == sorted(
        value for _, value in content(db)
    )
    fields = json.loads((tmp_path / "two" / "dataset.json").read_text())["made_from"]
    assert fields["how"] == "shuffled with seed 2"
    assert fields["from"][0]["made_from"] == {
        "how": "shuffled with seed 1",
        "from": [{"name": "foreign", "images": 5, "sha256": [None]}],
    }
    assert str(tmp_path) not in (tmp_path / "two" / "dataset.json").read_text()


def test_keys_of_all_kinds(tmp_path: Path) -> None:
    keys = [b"00000007", b"12345678_a/b c.jpg", b"123_x", b"\xff\x00\n", b"z" * 511]
    db = write_records(tmp_path / "db", [(key, raw_datum(1, 1, 1, b"x")) for key in keys])
    out = merge([db, pixel_lmdb(tmp_path / "more", [0])], tmp_path / "out").path
    assert [key for key, _ in content(out)] == [
        b"00000000_00000007",
        b"00000001_a/b c.jpg",
        b"00000002_123_x",
        b"00000003_" + b"z" * 502,
        b"00000004_\xff\x00\n",
        b"00000005_p0.png",
    ]


def test_the_shards_of_a_build_merged_are_the_build(tmp_path: Path) -> None:
    images = ImageOptions(side=32)
    whole = build(tmp_path / "photos", tmp_path / "whole", BuildOptions(images, seed=5))
    shards = build(tmp_path / "photos", tmp_path / "shards", BuildOptions(images, seed=5, shards=3))
    parts = sorted(shards.iterdir())
    assert len(parts) == 3
    merge(parts, tmp_path / "merged")
    assert content(tmp_path / "merged") == content(whole)
    one, other = read_description(whole), read_description(tmp_path / "merged")
    assert one is not None and other is not None
    for field in (
        "sha256", "images", "listed", "classes", "label_counts", "class_names", "unreadable", "kinds", "stored_sizes",
        "source_sizes", "source_short_sides", "mean", "std", "pixel_sums", "odd", "total_bytes", "short_side",
        "options",
    ):  # fmt: skip
        assert getattr(one, field) == getattr(other, field), field
    assert sound(tmp_path / "merged")
    assert merge([shards], tmp_path / "of_set").description.sha256 == one.sha256
    assert content(tmp_path / "of_set") == content(whole)
    with pytest.raises(InputError, match=r"--offset-labels does nothing to .*shards, whose 3 LMDBs"):
        merge([shards], tmp_path / "again", offset_labels=True)
    shuffle(shards, tmp_path / "shuffled", seed=0)  # a set is read as one
    shuffle(whole, tmp_path / "of_whole", seed=0)
    assert content(tmp_path / "shuffled") == content(tmp_path / "of_whole")


def test_merge_with_labels_behind_one_another(tmp_path: Path) -> None:
    described = build(tmp_path / "photos", tmp_path / "a", count=3)
    foreign = pixel_lmdb(tmp_path / "b", [0, 4, 4])
    last = pixel_lmdb(tmp_path / "c", [1])
    result = merge([described, foreign, last], tmp_path / "out", offset_labels=True)
    assert labels(result.path) == [*labels(described), 3, 7, 7, 9]
    assert (result.description.classes, result.description.class_names) == (10, None)
    old = [parse_datum(value) for _, value in content(foreign)]
    new = [parse_datum(value) for _, value in content(result.path)][3:6]
    for before, after in zip(old, new, strict=True):
        before.label += 3
        assert before == after
    both = merge(
        [described, build(tmp_path / "more", tmp_path / "d", count=3)], tmp_path / "e", offset_labels=True
    )
    assert both.description.class_names == NAMES * 2
    assert [(bad.path, bad.label) for bad in both.description.unreadable] == [("bad.jpg", 1), ("bad.jpg", 4)]


def test_merge_refuses_other_classes(tmp_path: Path) -> None:
    one = build(tmp_path / "photos", tmp_path / "a", count=3)
    two = build(
        tmp_path / "photos",
        tmp_path / "b",
        BuildOptions(ImageOptions(side=32), class_names=["ant", "fly", "cat"]),
    )
    with pytest.raises(InputError, match=r"b and \S*a have other classes \(label 1 is 'fly' and 'bee'\)"):
        merge([one, two], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    result = merge(
        [pixel_lmdb(tmp_path / "c", [2, 2]), one], tmp_path / "out"
    )  # nameless labels mean the same
    assert result.description.class_names == NAMES
    with pytest.raises(InputError, match="named twice"):
        merge([one, tmp_path / "photos" / ".." / "a"], tmp_path / "again")
    with pytest.raises(InputError, match="a is one LMDB: name two or more to merge, or a set"):
        merge([one], tmp_path / "again")
    with pytest.raises(InputError, match="nothing to merge is named"):
        merge([], tmp_path / "again")
    with pytest.raises(InputError, match="absent does not exist"):
        merge([tmp_path / "absent"], tmp_path / "again")


def test_subset_by_count_fraction_and_class(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [number % 4 for number in range(40)] + [9] * 3)
    by_count = subset(db, tmp_path / "count", Choice(count=10, seed=1)).path
    chosen = [int(name[1:-4]) for name in pictures(by_count)]
    assert len(chosen) == 10 and chosen == sorted(chosen)
    values = dict(enumerate(value for _, value in content(db)))
    assert [value for _, value in content(by_count)] == [values[number] for number in chosen]
    assert len(content(subset(db, tmp_path / "fraction", Choice(fraction=0.5)).path)) == 22
    per_class = subset(db, tmp_path / "class", Choice(per_class=5)).path
    assert Counter(labels(per_class)) == {0: 5, 1: 5, 2: 5, 3: 5, 9: 3}
    again = subset(db, tmp_path / "again", Choice(count=10, seed=1)).path
    assert content(again) == content(by_count)
    assert pictures(subset(db, tmp_path / "other", Choice(count=10, seed=2)).path) != pictures(by_count)
    assert sound(by_count)


def test_subset_by_label_and_labelled_anew(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [0, 1, 5, 6, 9, 1, 5])
    assert labels(subset(db, tmp_path / "a", Choice(labels=LabelRanges("1,5-7"))).path) == [1, 5, 6, 1, 5]
    relabelled = subset(db, tmp_path / "b", Choice(labels=LabelRanges("1,5-7,9"), relabel=True))
    assert labels(relabelled.path) == [0, 1, 2, 4, 0, 1]  # 3 is 7's, of which there is none
    assert relabelled.description.classes == 5
    named = build(tmp_path / "photos", tmp_path / "named", count=6)
    result = subset(named, tmp_path / "c", Choice(labels=LabelRanges("0,2-8"), relabel=True, per_class=1))
    assert (result.description.class_names, result.description.label_counts) == (["ant", "cat"], {0: 1, 1: 1})
    assert result.description.classes == 2
    assert sound(result.path)
    kept = subset(named, tmp_path / "d", Choice(labels=LabelRanges("2"))).description
    assert (kept.class_names, kept.label_counts, kept.classes) == (NAMES, {0: 0, 1: 0, 2: 2}, 3)
    with pytest.raises(InputError, match="no record of label 7-8"):
        subset(db, tmp_path / "e", Choice(labels=LabelRanges("1,7-8")))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "say which records"),
        ({"count": 1, "fraction": 0.1}, "--count 1 and --fraction 0.1 are given: choose one"),
        ({"count": 0}, "--count 0"),
        ({"per_class": -1}, "--per-class -1"),
        ({"fraction": 1.5}, "--fraction 1.5"),
        ({"fraction": float("nan")}, "--fraction nan"),
        ({"count": 1, "relabel": True}, "--relabel is given without --labels"),
        ({"count": 1, "seed": -1}, "seed -1"),
    ],
)
def test_choices_that_make_no_sense(options: dict[str, float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Choice(**options)  # type: ignore[arg-type]


def test_subset_of_more_than_there_is(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [0, 1])
    with pytest.raises(InputError, match="3 of 2 records"):
        subset(db, tmp_path / "out", Choice(count=3))
    with pytest.raises(InputError, match="0 of 2 records"):
        subset(db, tmp_path / "out", Choice(fraction=0.1))


def test_split_gives_every_record_to_one_part(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [0] * 20 + [1] * 10 + [2] * 30)
    outs = [tmp_path / "train", tmp_path / "val"]
    results = split(db, outs, [0.9, 0.1], seed=4)
    assert [result.path for result in results] == outs
    assert Counter(labels(outs[1])) == {0: 2, 1: 1, 2: 3}
    numbers = [[int(name[1:-4]) for name in pictures(out)] for out in outs]
    assert sorted(numbers[0] + numbers[1]) == list(range(60))
    assert numbers[0] == sorted(numbers[0]) and numbers[1] == sorted(numbers[1])
    assert numbers[1] != [18, 19, 29, 57, 58, 59]
    assert verify_lmdb(outs[0], 1, against=[outs[1]]).problems == []
    assert all(map(sound, outs))
    described = read_description(outs[1])
    assert described is not None and described.made_from is not None
    assert described.made_from["how"] == "part 2 of 2 (0.1), drawn with seed 4, the same of each class"
    whatever = [tmp_path / name for name in ("a", "b", "c")]
    split(db, whatever, [0.2, 0.2, 0.6], stratified=False)
    assert [len(content(out)) for out in whatever] == [12, 12, 36]


def test_parts_that_make_no_sense(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [0, 1, 2])
    one, two = tmp_path / "one", tmp_path / "two"
    for outs, fractions, complaint in (
        ([one], [1.0], "1 LMDBs and 1 fractions"),
        ([one, two], [0.5], "2 LMDBs and 1 fractions"),
        ([one, two], [0.5, 0.6], r"0\.5,0\.6 cannot be used"),
        ([one, two], [1.5, -0.5], "cannot be used"),
        ([one, two], [float("nan"), 0.5], "cannot be used"),
        ([one, one / ".." / "one"], [0.5, 0.5], "a folder of its own"),
        ([one, one / "two"], [0.5, 0.5], "a folder of its own"),
        ([one, two], [0.99, 0.01], "two would have no record"),
        ([one, db], [0.5, 0.5], "exists already"),
    ):
        with pytest.raises(InputError, match=complaint):
            split(db, outs, fractions)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db"]


def test_a_damaged_record_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [0, 1, 2])
    change(db, b"00000001_p1.png", b"\xff\xff")
    with pytest.raises(InputError, match=r"record 00000001_p1\.png is not a Datum"):
        shuffle(db, tmp_path / "out")
    with pytest.raises(InputError, match="not a Datum"):
        split(db, [tmp_path / "out", tmp_path / "out2"], [0.5, 0.5], stratified=False)
    negative = write_lmdb(tmp_path / "negative", [raw_datum(1, 1, 1, b"x", label=-1)])
    with pytest.raises(InputError, match="label -1"):
        shuffle(negative, tmp_path / "out")
    whole, huge = pixel_lmdb(tmp_path / "whole", [0, 2]), pixel_lmdb(tmp_path / "huge", [2**31 - 1])
    with pytest.raises(InputError, match="to become 2147483650"):
        merge([whole, huge], tmp_path / "out", offset_labels=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "huge", "negative", "whole"]


def test_what_exists_is_replaced_only_by_force_and_when_the_new_one_is_whole(tmp_path: Path) -> None:
    db, out = pixel_lmdb(tmp_path / "db", [0, 1, 2]), pixel_lmdb(tmp_path / "out", [7])
    with pytest.raises(InputError, match="--force"):
        shuffle(db, out)
    change(db, b"00000001_p1.png", b"\xff\xff")
    with pytest.raises(InputError, match="not a Datum"):
        shuffle(db, out, force=True)
    assert labels(out) == [7]
    change(db, b"00000001_p1.png", None)
    shuffle(db, out, force=True)
    assert sorted(labels(out)) == [0, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "out"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x").touch()
    with pytest.raises(InputError, match="is no LMDB"):
        shuffle(db, tmp_path / "notes", force=True)


def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    build(tmp_path / "photos", tmp_path / "set", BuildOptions(ImageOptions(side=32), shards=2))
    first = tmp_path / "set" / "shard-00000-of-00002"
    for db, out in ((first, first), (first, tmp_path / "set"), (tmp_path / "set", tmp_path / "set" / "new")):
        with pytest.raises(InputError, match="is read: choose another folder"):
            shuffle(db, out, force=True)
    assert len(content(tmp_path / "set")) == 12


def test_a_disk_without_room_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = pixel_lmdb(tmp_path / "db", [0, 1, 2])
    monkeypatch.setattr(replacing, "_free", lambda target: copying.stored_bytes(db) - 1)
    with pytest.raises(InputError, match=re.escape("out needs 0 MiB, and 0 MiB are free there: make room")):
        shuffle(db, tmp_path / "out")
    monkeypatch.setattr(replacing, "_free", lambda target: copying.stored_bytes(db))
    shuffle(db, tmp_path / "out")


def test_parts_that_lie_in_one_another(tmp_path: Path) -> None:
    db = pixel_lmdb(tmp_path / "db", [0, 1, 2, 3])
    for outs, complaint in (
        ("s s", "s is named twice"),
        ("s s/t", "s/t is inside of .*s: give"),
        ("s/t s", "s/t is inside of .*s: give"),
    ):
        with pytest.raises(InputError, match=complaint):
            split(db, [tmp_path / out for out in outs.split()], [0.5, 0.5])
