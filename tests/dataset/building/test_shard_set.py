import json
from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.verification import verify_lmdb
from batchbrew.errors import InputError
from tests.dataset.building.builds import SMALL, content, everything, names_in, pictures_source


def test_shards_of_jobs_those_of_one_build_and_the_whole(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 23, bad=2)
    build_lmdb(source, tmp_path / "whole", SMALL)
    report = build_lmdb(source, tmp_path / "set", replace(SMALL, shards=3))
    for number in (2, 0, 1):
        alone = build_lmdb(source, tmp_path / "jobs", replace(SMALL, shards=3, shard=number))
        assert alone.path == tmp_path / "jobs" / f"shard-{number:05}-of-00003"
    names = ["shard-00000-of-00003", "shard-00001-of-00003", "shard-00002-of-00003"]
    assert names_in(tmp_path / "set") == names_in(tmp_path / "jobs") == names
    for name in names:
        assert everything(tmp_path / "set" / name) == everything(tmp_path / "jobs" / name)
    whole = content(tmp_path / "whole")
    assert [value for _, value in content(tmp_path / "set")] == [value for _, value in whole]
    # 23 images in 3 parts, by rounding down: 0 to 7, 7 to 15, 15 to 23.
    assert [each.listed for each in report.descriptions] == [7, 8, 8]
    assert sum(len(each.unreadable) for each in report.descriptions) == 2
    assert report.made == 23
    fields = json.loads((tmp_path / "jobs" / names[1] / "dataset.json").read_text())
    assert (fields["shard"], fields["source"]["images"]) == ([1, 3], 23)
    assert names_in(tmp_path) == ["jobs", "photos", "set", "whole"]


def test_progress_goes_on_from_shard_to_shard(tmp_path: Path) -> None:
    calls: list[tuple[int, int, int, int | None]] = []

    def meter(done: int, total: int, bad: int, written_bytes: int | None = None, /) -> None:
        calls.append((done, total, bad, written_bytes))

    source = pictures_source(tmp_path / "photos", 9, bad=1)
    build_lmdb(source, tmp_path / "set", replace(SMALL, shards=2), meter)
    assert [call[0] for call in calls] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]
    assert {call[1] for call in calls} == {9}
    total_bytes = sum(len(value) for _, value in content(tmp_path / "set"))
    assert calls[-1] == (9, 9, 1, total_bytes)


def test_a_set_that_is_not_whole_is_not_read(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 6)
    build_lmdb(source, tmp_path / "set", replace(SMALL, shards=2, shard=1))
    with pytest.raises(InputError, match="shard-00000-of-00002"):
        LmdbReader(tmp_path / "set")
    build_lmdb(source, tmp_path / "set", replace(SMALL, shards=2, shard=0))
    assert len(content(tmp_path / "set")) == 6


def test_jobs_that_do_not_agree(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 6)
    first = replace(SMALL, shards=2, shard=0)
    build_lmdb(source, tmp_path / "set", first)
    with pytest.raises(InputError, match="shard-00000-of-00002 is of another set: quality: 95 then, 80 now"):
        build_lmdb(
            source, tmp_path / "set", replace(first, shard=1, images=ImageOptions(side=24, quality=80))
        )
    with pytest.raises(InputError, match="is of another set: class names: none then, 3 now; build all"):
        build_lmdb(source, tmp_path / "set", replace(first, shard=1, class_names=["a", "b", "c"]))
    with pytest.raises(InputError, match="holds shard-00000-of-00002, which is none of 3 shards"):
        build_lmdb(source, tmp_path / "set", replace(first, shards=3, shard=1))
    build_lmdb(source, tmp_path / "db", SMALL)
    with pytest.raises(InputError, match="db is an LMDB, and no folder for shards"):
        build_lmdb(source, tmp_path / "db", first)
    assert names_in(tmp_path / "set") == ["shard-00000-of-00002"]


def test_shards_that_disagree_about_their_classes_are_found(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 6)
    names = replace(SMALL, shards=2, class_names=["a", "b", "c"])
    build_lmdb(source, tmp_path / "set", names)
    assert verify_lmdb(tmp_path / "set", 1).problems == []
    path = tmp_path / "set" / "shard-00001-of-00002" / "dataset.json"
    path.write_text(path.read_text().replace('"b"', '"x"'))
    assert verify_lmdb(tmp_path / "set", 1).problems == [
        "shard-00001-of-00002: dataset.json names other classes than the shards before: build all with the same"
    ]


def test_a_finished_set_is_gone_on_with_by_doing_nothing(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 6)
    build_lmdb(source, tmp_path / "set", replace(SMALL, shards=2))
    report = build_lmdb(source, tmp_path / "set", replace(SMALL, shards=2, resume=True))
    assert (report.made, len(report.descriptions)) == (0, 2)
    with pytest.raises(InputError, match="exists already"):
        build_lmdb(source, tmp_path / "set", replace(SMALL, shards=3, resume=True))


def test_bad_images_are_counted_over_the_set(tmp_path: Path) -> None:
    source = pictures_source(tmp_path / "photos", 9, bad=2)
    shards = replace(SMALL, shards=3, seed=None, check_space=False)
    with pytest.raises(InputError, match="2 of the first 3 images cannot be used, where 1 may be"):
        build_lmdb(source, tmp_path / "set", replace(shards, max_bad=1))
    build_lmdb(source, tmp_path / "set", replace(shards, max_bad=2, resume=True))
    source = pictures_source(tmp_path / "others", 9, bad=1)
    source.entries = [source.entries[8], *source.entries[:8]]
    build_lmdb(source, tmp_path / "once", replace(shards, max_bad=1))
