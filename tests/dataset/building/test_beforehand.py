"""What is refused before a source is opened."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from batchbrew.dataset.building.beforehand import check_beforehand
from batchbrew.dataset.building.partial import working_on
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.errors import InputError
from tests.dataset.building.builds import SMALL, names_in, pictures_source

RESUMED = replace(SMALL, resume=True)
FORCED = replace(SMALL, force=True)


def test_what_may_be_built(tmp_path: Path) -> None:
    for options in (SMALL, RESUMED, FORCED, replace(SMALL, shards=2, shard=1)):
        check_beforehand(tmp_path / "new" / "db", options)
    assert names_in(tmp_path) == []
    build_lmdb(pictures_source(tmp_path / "photos", 3), tmp_path / "db", SMALL)
    check_beforehand(tmp_path / "db", RESUMED)
    check_beforehand(tmp_path / "db", FORCED)
    with pytest.raises(InputError, match="db exists already"):
        check_beforehand(tmp_path / "db", SMALL)
    with pytest.raises(InputError, match="db is an LMDB, and no folder for shards"):
        check_beforehand(tmp_path / "db", replace(SMALL, shards=2, shard=0))
    with pytest.raises(InputError, match="photos is no LMDB and is not replaced"):
        check_beforehand(tmp_path / "photos", FORCED)


def test_a_build_at_work_or_interrupted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with working_on(out) as partial:
        with pytest.raises(InputError, match=r"out is being built by process \d+ on"):
            check_beforehand(out, RESUMED)
        partial.begin({})
    with pytest.raises(InputError, match="holds an interrupted build: go on with it with --resume"):
        check_beforehand(out, SMALL)
    check_beforehand(out, RESUMED)
    check_beforehand(out, FORCED)
    assert names_in(tmp_path / "out.partial") == ["lock", "plan.json"]


def test_a_place_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"db cannot be made: .*file is not a folder"):
        check_beforehand(tmp_path / "file" / "db", SMALL)
    refuse: Callable[[Path, int], bool] = lambda path, mode: False  # noqa: E731 - root may write everywhere
    monkeypatch.setattr("os.access", refuse)
    with pytest.raises(InputError, match=r"db cannot be made: .* may not be written to"):
        check_beforehand(tmp_path / "db", SMALL)
